"""Kinds of files, told by their suffix: pictures, animations, videos, and some that are known but cannot be read."""

from pathlib import Path

PICTURES = frozenset(
    {".apng", ".avif", ".bmp", ".jfif", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif"}
    | {".tiff", ".webp"}
)
ANIMATIONS = frozenset({".apng", ".avif", ".png", ".webp"})  # pictures that may move; Pillow reads them
VIDEOS = frozenset(
    {".264", ".265", ".3g2", ".3gp", ".3gpp", ".amv", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".gif", ".h264"}
    | {".h265", ".hevc", ".ivf", ".m1v", ".m2t", ".m2ts", ".m2v", ".m4v", ".mjpeg", ".mjpg", ".mkv", ".mod", ".mov"}
    | {".mp4", ".mpe", ".mpeg", ".mpg", ".mpv", ".mts", ".mxf", ".nut", ".ogm", ".ogv", ".ogx", ".qt", ".rm", ".rmvb"}
    | {".tod", ".ts", ".vob", ".webm", ".wmv", ".wtv", ".y4m"}
)
_UNREADABLE = {
    **dict.fromkeys((".heic", ".heif", ".hif"), "HEIC pictures cannot be read; export JPEG or PNG"),
    **dict.fromkeys((".arw", ".cr2", ".cr3", ".dng", ".nef", ".orf", ".raf", ".rw2"), "raw photographs cannot be read"),
    **dict.fromkeys((".exr", ".hdr", ".jxl", ".psd", ".svg"), "pictures of this kind cannot be read; export PNG"),
    **dict.fromkeys((".braw", ".insv", ".r3d"), "videos of this kind cannot be read; export MP4"),
    **dict.fromkeys((".aac", ".flac", ".m4a", ".mp3", ".ogg", ".opus", ".wav"), "sound without pictures"),
}


def is_hidden(path: Path) -> bool:
    return path.name.startswith(".")


def unusable_because(path: Path) -> str:
    """Reason why a file that is neither a picture nor a video by its suffix is passed over."""
    suffix = path.suffix.lower()
    if suffix in _UNREADABLE:
        return _UNREADABLE[suffix]
    return f"neither a video nor a picture by its suffix {suffix}" if suffix else "no suffix that tells its kind"
