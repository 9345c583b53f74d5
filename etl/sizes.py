"""Numbers of bytes, and how people read them."""

MIB, GIB = 1024**2, 1024**3


def size_text(size: float) -> str:
    """Return a number of bytes with its unit: ``7.2 GiB``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
