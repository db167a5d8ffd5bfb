"""Damaged packets to the frames that they spoil: everything decoded from the first fault to the next key frame."""

from bisect import bisect_right


class Damage:
    """Bookkeeping of one stream; packets are numbered in the order of decoding, and told apart by their time stamps."""

    def __init__(self) -> None:
        self._number: dict[int, int] = {}  # of the packet by its presentation time stamp
        self._keys: list[tuple[int, int]] = []  # number and time stamp of every key frame
        self._faults: list[int] = []
        self._lost: list[int] = []  # time stamps of frames that could not be decoded at all
        self._lost_unstamped = False
        self._count = 0

    def packet(self, stamp: int | None, is_key: bool) -> None:
        """Notes the next packet, before it is decoded."""
        if stamp is not None:
            self._number[stamp] = self._count
        if is_key:
            self._keys.append((self._count, stamp if stamp is not None else -1))
        self._count += 1

    def fault(self, stamp: int | None = None) -> None:
        """Notes that a packet is damaged: that of a frame's time stamp, or the newest."""
        number = self._count - 1 if stamp is None else self._number.get(stamp, self._count - 1)
        if number not in self._faults[-1:]:
            self._faults = sorted({*self._faults, number})

    def lose(self, stamp: int | None) -> None:
        """Notes that a packet gave no frame."""
        if stamp is None:
            self._lost_unstamped = True
        else:
            self._lost.append(stamp)

    def lost_between(self, before: int, stamp: int | None) -> bool:
        """True if a frame is missing between two that follow each other."""
        unstamped, self._lost_unstamped = self._lost_unstamped, False
        return unstamped or (stamp is not None and any(before < lost < stamp for lost in self._lost))

    @property
    def any(self) -> bool:
        return bool(self._faults)

    def spoils(self, stamp: int | None) -> bool:
        """True if the frame of this time stamp was decoded from a damaged packet, or refers to one, even if indirectly.

        Frames that are shown before a key frame but decoded after it still refer to the pictures before it.
        """
        if not self._faults:
            return False
        number = self._count - 1 if stamp is None else self._number.get(stamp, self._count - 1)
        begins = self._begin_of_group(number, stamp)
        index = bisect_right(self._faults, number)
        return index > 0 and self._faults[index - 1] >= begins

    def _begin_of_group(self, number: int, stamp: int | None) -> int:
        """Number of the key frame that a frame builds upon."""
        for key, shown in reversed(self._keys):
            if key <= number and (stamp is None or shown <= stamp):
                return key
        return 0
