"""The benchmark: workloads x targets x methods, as rows that anyone can replay."""
