"""The rules of the memory mapping game, exactly. A player, alone, answers one site after the other.

Words: time, tensor, use, group, stay, copy as in ``mallocgame.problem.schema`` and ``mallocgame.plan.plan``.
``times(c)`` are the times of the instructions of computation c itself, callees' excluded; ``previous(t)`` is the one
before t, and where t calls computations the one before that: what hands it its operands has to wait for the copy.

Sites
    For each time in order: the uses there (``Problem.uses_at``), then the definitions (``Problem.definitions_at``). A
    site that could only ever be answered with DROP, or that another site answers with it, is left out. Left in are
    * all sites of *pinnable* groups: no tensor is ``fixed`` or has an ``hbm_definition``, the largest one fits; and of
      groups that can be pinned with an *eviction* (``Program.evictions``): one tensor is an entry result instead. Its
      use by the entry's root reads HBM, and is no site;
    * the first use of every copyable *serving* (``Program.servings``). A serving is a use, or a visit: all uses in the
      callees of an instruction of the definition's computation together with that instruction's own use, which has to
      have a ``copy_after``. Uses by bitcasts are none. A serving is *copyable* if it is of a single-tensor group, not
      ``fixed``, the tensor fits, its last use has a ``copy_after`` that allows a start before it in ``times`` of
      its computation, and it is a parameter or constant or the serving is not its first (a produced tensor that is
      to be copied later needs a first use that is kept in HBM). Likewise the servings of an entry parameter that is
      the first tensor of its group, if its last use, and no other, is by the instruction that defines the next: it is
      updated in place (donated). Its last serving is copyable only if it *carries* the rest of the group
      (``Program.tails``): that is in fast memory, too, at the same offset, and its entry result is evicted.
    ``step`` answers exactly one site, so an episode has as many moves as the problem has sites.

Moves
    At the first definition of a pinnable group: NO_COPY pins the group (all of its definitions and uses in fast memory,
    no copies), DROP leaves it in HBM.
      The offset is best fit for the group's size over the *lasting* intervals of all of its tensors, which are their
      ``live``, but an evicted one's ends with its eviction's ``before``; if none fits now, NO_COPY is illegal (this
      look ahead makes drop-backups rare). Only the first tensor's interval is reserved now.
    At later definitions of the group: pinned: NO_COPY only, and the tensor's interval is reserved at the group's
      offset. Not pinned: DROP only. At the definition of what is evicted the eviction is queued.
    At a use of a pinned group: NO_COPY only.
    At a use of another group that begins no copyable serving: NO_COPY only if it reads fast memory already (the serving
      of which it is a later use was answered so), else DROP only.
    At the first use of a copyable serving of a group that is not pinned; t is the time of the serving's last use:
      DROP     reads HBM. Always legal.
      NO_COPY  legal if the tensor's previous serving was answered COPY or NO_COPY, ends in the same computation, and
               its bytes at the same offset are free from the end of its stay + 1 to t; the stay is extended to t.
      COPY     a prefetch with a new stay. Let e be the larger of ``copy_after`` and the end of the tensor's last stay.
               Legal if there is no previous serving or it was answered DROP (the compiler puts no second copy between
               two fast uses), previous(t) >= e, and a gap exists for the shortest stay, [previous(t) + 1, t].
      For a serving that carries, the lasting intervals of the rest of the group have to be free, too (and the gap has
      the group's size); they are reserved, all definitions and uses of the rest but the entry root's become fast, and
      the eviction is queued.
      All uses from the serving's first to its last, and from the last of the serving before if NO_COPY, become fast.
      COPY and NO_COPY are illegal if they would break the keep rule below.
    Best fit: the smallest gap that is free during the whole interval and large enough, then the lowest; gaps start at
    multiples of the alignment. Stays of tensors of one group do not conflict with one another.

Where a prefetch starts
    Supply of an instruction is the idle HBM time that the queues of its computation leave at present. Walk back over
    ``times`` from previous(t); the start after time s has the supply of all times between s and t, both excluded. Take
    the latest s >= e with supply >= demand = size / HBM bandwidth (less a billionth, for rounding); if there is none,
    the latest s that has all the supply there is. If [s + 1, t] has no gap, take the next later start that has one.
    The offset is best fit over [s + 1, t].

Known plan
    A game may be given a plan that is known. Where that has a group pinned, or a prefetch for the same serving, its
    offset and start come first: they are taken if the bytes that a gap would be searched for are free there, and the
    start is not before e nor after previous(t). Else the place is found as above. So an episode that answers all sites
    as the known plan does gives that plan again (but where that has less than the group's size for one of its tensors),
    and one that answers some of them otherwise leaves the rest in place.

Keep rule
    The compiler option that keeps one use in HBM also keeps those outputs of the using instruction in HBM, with all of
    their uses, that have the tensor's size and the operand's tuple index. Of a copied tensor, such an option is needed
    for its first use, if the tensor is produced, and for the first HBM use after each fast one (``Program.kept``). So
    these outputs may be neither pinned nor copied. Uses still to come count as HBM uses, so that DROP stays legal at
    them. Hence
    * COPY and NO_COPY are illegal if a use that would then have to be kept has such an output that is pinned, copied or
      carried, or if the tensor itself, or one that it would carry, is such an output of a use of another group that
      has to be kept at present;
    * pinning is illegal if a tensor of the group is such an output of a use that has to be kept at present.

Drop-backup
    Where a later definition of a pinned group no longer finds its bytes free, the group is barred from being pinned and
    the walk goes back to the group's first site; the recorded moves are replayed up to and including the present
    site, where a recorded move that is no longer legal becomes DROP (or the only legal one), and is recorded so. If
    that bars another group, the same again. Groups are barred for good, so this ends, and every episode ends with a
    valid plan.

Time (model M)
    An instruction with r and w bytes read from and written to fast memory takes
    max(least_seconds, r / fast_read + w / fast_write + h), h = (total_bytes - r - w) / hbm_bandwidth, and leaves
    max(0, that - h) of HBM time idle; a ``free`` one takes 0 and leaves 0. An instruction that calls computations takes
    in addition the sum over its callees of trips x their total, where of branches only the slowest counts (the first
    such); it leaves idle likewise trips x what each callee has left over.
    Each run of a computation has two queues of copies, of prefetches and of evictions, empty at first, each first in
    first out by (after, tensor). While both have something left, each gets half of the bandwidth. At each of its times,
    in order: (1) if copies are due there, the queues are copied while the computation waits, until the last of these
    has arrived: a stall; (2) the instruction runs and the queues take as much of its idle time as they can use; (3) the
    copies that start after it join their queues. What the queues did not use of the idle time is the computation's left
    over. The total of a computation is all of its instructions' times and stalls.

Reward
    The change in the entry's total, undecided being HBM: seconds saved by a move, less stalls caused. The sum of all
    rewards of an episode is the total with everything in HBM less the total of the plan.
"""

from __future__ import annotations

from enum import Enum
from typing import Self

from mallocgame.game.board import Board
from mallocgame.game.places import Places, places_of
from mallocgame.game.program import Program, Serving, Site
from mallocgame.plan.plan import Plan, Stay
from mallocgame.problem.schema import Problem, Tensor


class Move(Enum):
    """An answer to a site. The values are the numbers that recorded games use."""

    DROP = 0
    COPY = 1
    NO_COPY = 2


class IllegalMoveError(ValueError):
    """A move that the rules do not allow here: a programming error of the player."""


class State:
    """A position in one episode. To be treated as immutable: ``Game.step`` copies.

    Attributes:
        board: stays, flags and times so far.
        moves: the recorded answers, one a site.
        pins: offset of each pinned group.
        copied: per tensor with prefetches, the index of its last serving that reads fast memory.
        barred: groups that a drop-backup took back.
        checkpoints: per pinned group with definitions still to come, the state at its first site.
    """

    def __init__(self, board: Board) -> None:
        self.board = board
        self.moves: list[Move] = []
        self.pins: dict[int, int] = {}
        self.copied: dict[int, int] = {}
        self.barred: frozenset[int] = frozenset()
        self.checkpoints: dict[int, State] = {}
        self.legal: frozenset[Move] | None = None

    def copy(self) -> Self:
        """An independent copy."""
        new = object.__new__(type(self))
        new.board = self.board.copy()
        new.moves = self.moves.copy()
        new.pins = self.pins.copy()
        new.copied = self.copied.copy()
        new.barred = self.barred
        new.checkpoints = self.checkpoints.copy()
        new.legal = self.legal
        return new


class Game:
    """The game on one problem; see the module's docstring for the rules.

    Attributes:
        problem: to be solved.
        program: its tables; ``program.sites`` are the questions in order.
        places: of the plan that is known; of none by default.
    """

    def __init__(self, problem: Problem, known: Plan | None = None) -> None:
        self.problem = problem
        self.program = Program(problem)
        self.places = Places() if known is None else places_of(self.program, known)

    def start(self) -> State:
        """The state before the first site: everything in HBM."""
        return State(Board(self.program))

    def done(self, state: State) -> bool:
        """Whether every site is answered."""
        return len(state.moves) == len(self.program.sites)

    def site(self, state: State) -> Site:
        """The site that the next move answers."""
        return self.program.sites[len(state.moves)]

    def total(self, state: State) -> float:
        """Seconds of the program under model M, undecided being HBM."""
        return state.board.timeline.total

    def plan(self, state: State) -> Plan:
        """The plan so far; what is undecided is in HBM."""
        return state.board.plan()

    def legal(self, state: State) -> frozenset[Move]:
        """The legal moves; never empty before the end, empty when done."""
        if state.legal is None:
            state.legal = frozenset() if self.done(state) else self._legal(state)
        return state.legal

    def step(self, state: State, move: Move) -> tuple[State, float]:
        """Answer the next site.

        Returns:
            The new state, and the reward in seconds.

        Raises:
            IllegalMoveError: the move is not legal in this state.
        """
        if move not in self.legal(state):
            raise IllegalMoveError(
                f"{move.name} is not legal at {self.site(state) if not self.done(state) else 'the end'}"
            )
        new = self._answer(state.copy(), move)
        return new, self.total(state) - self.total(new)

    def _answer(self, state: State, move: Move) -> State:
        """Apply a legal move in place; in the case of a drop-backup return another state."""
        barring = self._apply(state, move)
        if barring is None:
            return state
        recorded = [*state.moves, move]
        while barring is not None:
            checkpoint = state.checkpoints[barring]
            barred = state.barred | {barring}
            state = checkpoint.copy()
            state.barred = barred
            state.legal = None
            barring = None
            while len(state.moves) < len(recorded) and barring is None:
                number = len(state.moves)
                recorded[number] = self._nearest(self.legal(state), recorded[number])
                barring = self._apply(state, recorded[number])
        return state

    @staticmethod
    def _nearest(legal: frozenset[Move], recorded: Move) -> Move:
        if recorded in legal:
            return recorded
        return Move.DROP if Move.DROP in legal else next(iter(legal))

    def _legal(self, state: State) -> frozenset[Move]:
        site = self.site(state)
        group = self.problem.tensors[site.tensor].group
        if group in state.pins:
            return frozenset({Move.NO_COPY})
        if site.use >= 0:
            return self._legal_at_use(state, site)
        first = self.program.first_site[group] == len(state.moves)
        if first and group not in state.barred and self._pin_offset(state, group) is not None:
            return frozenset({Move.DROP, Move.NO_COPY})
        return frozenset({Move.DROP})

    def _legal_at_use(self, state: State, site: Site) -> frozenset[Move]:
        if (site.tensor, site.use) in state.board.fast_uses:
            return frozenset({Move.NO_COPY})
        number = self.program.serving_at(site.tensor, site.use)
        serving = None if number is None else self.program.servings[site.tensor][number]
        if number is None or serving is None or serving.earliest is None or serving.first != site.use:
            return frozenset({Move.DROP})
        if self._copy_breaks_keep_rule(state, site.tensor, number):
            return frozenset({Move.DROP})
        if number > 0 and state.copied.get(site.tensor) == number - 1:
            legal = self._can_stay(state, site.tensor, number)
            return frozenset({Move.DROP, Move.NO_COPY}) if legal else frozenset({Move.DROP})
        legal = self._can_copy(state, site.tensor, number)
        return frozenset({Move.DROP, Move.COPY}) if legal else frozenset({Move.DROP})

    def _can_stay(self, state: State, tensor: int, number: int) -> bool:
        """Whether the stay of the serving before can be extended to this serving."""
        value, stay = self.problem.tensors[tensor], state.board.stays[tensor][-1]
        before = self.program.servings[tensor][number].before
        if self.program.computation[before] != self.program.computation[stay.end]:
            return False
        intervals = [(tensor, stay.end + 1, before)]
        intervals += [(id, *self.program.lasting(id)) for id in self.program.carried(tensor, number)]
        return all(
            state.board.occupancy.is_free(
                (start, end), stay.offset, stay.offset + self.problem.tensors[id].size, value.group
            )
            for id, start, end in intervals
        )

    def _can_copy(self, state: State, tensor: int, number: int) -> bool:
        serving = self.program.servings[tensor][number]
        previous = self._previous(serving.before)
        if previous < self._earliest(state, tensor, serving):
            return False
        return state.board.gap(tensor, previous, serving.before, self._carried_times(tensor, number)) is not None

    def _previous(self, time: int) -> int:
        return self.program.times[self.program.computation[time]][self.program.latest[time]]

    def _carried_times(self, tensor: int, number: int) -> list[tuple[int, int]]:
        return [self.program.lasting(id) for id in self.program.carried(tensor, number)]

    @staticmethod
    def _earliest(state: State, tensor: int, serving: Serving) -> int:
        """Time after whose instruction a prefetch for this copyable serving may start at the earliest."""
        assert serving.earliest is not None
        stays = state.board.stays.get(tensor)
        return max(serving.earliest, stays[-1].end) if stays else serving.earliest

    def _pin_offset(self, state: State, group: int) -> int | None:
        """Where the group would be pinned; None where it may not be."""
        members = [self.problem.tensors[id] for id in self.problem.groups[group].tensors]
        if any(self._has_to_be_kept(state, member) for member in members):
            return None
        size = max(member.size for member in members)
        intervals, occupancy = [self.program.lasting(member.id) for member in members], state.board.occupancy
        place = self.places.pins.get(group)
        if place is not None and all(occupancy.is_free(interval, place, place + size, group) for interval in intervals):
            return place
        return occupancy.best_fit(intervals, size, group)

    def _has_to_be_kept(self, state: State, output: Tensor) -> bool:
        """Whether a tensor is an output that a kept use of another group keeps in HBM too."""
        for tensor, number in self.program.uses_at[output.time]:
            if tensor in state.copied and self.problem.tensors[tensor].group != output.group:
                kept = dict(self.program.kept(tensor, self._fast_uses(state, tensor)))
                if output.id in kept.get(number, ()):
                    return True
        return False

    def _copy_breaks_keep_rule(self, state: State, tensor: int, number: int) -> bool:
        serving = self.program.servings[tensor][number]
        fast = self._fast_uses(state, tensor).union(range(serving.first, serving.last + 1))
        for _, outputs in self.program.kept(tensor, fast):
            if any(self._is_fast(state, id) for id in outputs):
                return True
        moved = (tensor, *self.program.carried(tensor, number))
        return any(self._has_to_be_kept(state, self.problem.tensors[id]) for id in moved)

    def _is_fast(self, state: State, tensor: int) -> bool:
        """Whether a tensor is of a pinned group, copied, or carried."""
        pinned = self.problem.tensors[tensor].group in state.pins
        return pinned or tensor in state.copied or tensor in state.board.fast_definitions

    def _fast_uses(self, state: State, tensor: int) -> set[int]:
        uses = range(len(self.problem.tensors[tensor].uses))
        return {number for number in uses if (tensor, number) in state.board.fast_uses}

    def _apply(self, state: State, move: Move) -> int | None:
        """Apply a legal move in place.

        Returns:
            None, or the pinned group whose reservation does not fit; the state is spoilt then, but for its
            checkpoints and moves.
        """
        site = self.site(state)
        group = self.problem.tensors[site.tensor].group
        if site.use < 0 and move is Move.NO_COPY:
            if not self._define(state, site, group):
                return group
        elif move is not Move.DROP:
            self._read(state, site, group, move)
        if site.use < 0 and self.program.last_definition_site[group] == len(state.moves):
            state.checkpoints.pop(group, None)
        state.moves.append(move)
        state.legal = None
        state.board.timeline.refresh()
        return None

    def _define(self, state: State, site: Site, group: int) -> bool:
        value, board = self.problem.tensors[site.tensor], state.board
        if group not in state.pins:
            offset = self._pin_offset(state, group)
            assert offset is not None
            if self.program.last_definition_site[group] > len(state.moves):
                state.checkpoints[group] = state.copy()
            state.pins[group] = offset
        offset = state.pins[group]
        lasting = self.program.lasting(site.tensor)
        if not board.occupancy.is_free(lasting, offset, offset + value.size, group):
            return False
        board.reserve(Stay(site.tensor, *lasting, offset))
        board.set_definition(site.tensor, True)
        return True

    def _read(self, state: State, site: Site, group: int, move: Move) -> None:
        """Answer a use with COPY or NO_COPY."""
        if group in state.pins:
            state.board.set_use(site.tensor, site.use, True)
        elif (site.tensor, site.use) not in state.board.fast_uses:
            self._serve(state, site, move)

    def _serve(self, state: State, site: Site, move: Move) -> None:
        board = state.board
        number = self.program.serving_at(site.tensor, site.use)
        assert number is not None
        serving = self.program.servings[site.tensor][number]
        first = serving.first
        if move is Move.NO_COPY:
            stay = board.stays[site.tensor][-1]
            board.release(stay)
            board.reserve(Stay(site.tensor, stay.start, serving.before, stay.offset))
            first = self.program.servings[site.tensor][number - 1].last + 1
        else:
            earliest = self._earliest(state, site.tensor, serving)
            also = self._carried_times(site.tensor, number)
            placed = self._known_place(board, site.tensor, serving.before, earliest, also)
            if placed is None:
                placed = board.place_copy(site.tensor, serving.before, earliest, serving.before, also)
            assert placed is not None
            after, offset = placed
            board.reserve(Stay(site.tensor, after + 1, serving.before, offset))
            board.set_copy(site.tensor, after, serving.before, True)
        for use in range(first, serving.last + 1):
            board.set_use(site.tensor, use, True)
        offset = board.stays[site.tensor][-1].offset
        for id in self.program.carried(site.tensor, number):
            board.set_written(id, offset, True)
        state.copied[site.tensor] = number

    def _known_place(
        self, board: Board, tensor: int, before: int, earliest: int, also: list[tuple[int, int]]
    ) -> tuple[int, int] | None:
        """Start and offset that the known plan has for a prefetch; None where it has none, or they are not free."""
        place = self.places.copies.get((tensor, before))
        if place is None:
            return None
        after, offset = place
        value = self.problem.tensors[tensor]
        size = self.problem.groups[value.group].size if also else value.size
        free = all(
            board.occupancy.is_free(interval, offset, offset + size, value.group)
            for interval in [(after + 1, before), *also]
        )
        return place if earliest <= after <= self._previous(before) and free else None
