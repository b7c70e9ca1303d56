"""A span of time for people in a hurry: "0.3 s", "42 s", "5 min", "2 h 10 min", "3 days"."""


def duration(seconds: float) -> str:
    """The span in two figures or so. Never negative: a clock that was set back does not show."""
    seconds = max(0.0, seconds)
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 119.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{round(hours / 24)} days"
