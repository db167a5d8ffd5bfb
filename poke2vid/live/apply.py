"""Actions of a script or a client applied to a session; the sender numbers its fingers itself."""

from poke2vid.live.action import Action
from poke2vid.live.session import Session
from poke2vid.types import InputError


def apply(action: Action, session: Session, pointers: dict[int, int]) -> int | None:
    """Does an action, whatever its `frame`: it shows in the session's next one.

    Args:
        pointers: those of the sender that hold something -> the session's; kept up to date.

    Returns:
        The session's pointer of the poke that begins, if one does.

    Raises:
        InputError: if the pointer of a drag or release holds nothing; also as `Session.poke` and `Session.drag`.
    """
    match action.type:
        case "poke":
            if action.pointer in pointers:  # the same finger touches again
                session.release(pointers.pop(action.pointer))
            pointer = session.poke(action.at, action.shift, action.kind)
            if action.kind == "shift":
                pointers[action.pointer] = pointer
            return pointer
        case "rest":
            assert action.rest is not None
            session.rest = action.rest
        case "brush":
            assert action.stroke is not None
            session.brush(action.stroke)
        case _ if action.pointer not in pointers:
            raise InputError(f"pointer {action.pointer} holds nothing at frame {action.frame}; poke first.")
        case "drag":
            (x, y), (dx, dy) = action.at, action.shift
            session.drag(pointers[action.pointer], (x + dx, y + dy))
        case "release":
            session.release(pointers.pop(action.pointer))
    return None
