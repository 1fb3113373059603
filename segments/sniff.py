"""Which family of container a file claims to be, by its first bytes.

Only containers that hold their media themselves have a name here. Playlists, XML, SVG, subtitles and any
other text have none: they are refused before a demuxer sees them.
"""

SNIFF_BYTES = 4096

_MOV_BOXES = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot"}
_TS_PACKET = 188
_TIMESTAMPED_TS_PACKET = 192


def sniff(first_bytes: bytes) -> str | None:
    """Family name, equal to ffmpeg's demuxer name, or None for anything that is not a known container.

    `first_bytes`: up to SNIFF_BYTES from the start of the file. Families: mov, matroska (WebM too), avi,
    mpegts, and of sound files mp3, wav, flac, ogg, aac.
    """
    head = bytes(first_bytes[:SNIFF_BYTES])
    if head[4:8] in _MOV_BOXES:
        return "mov"
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "matroska"
    if head.startswith(b"RIFF"):
        return {b"AVI ": "avi", b"WAVE": "wav"}.get(head[8:12])
    if _is_transport_stream(head):
        return "mpegts"
    for magic, family in ((b"OggS", "ogg"), (b"fLaC", "flac"), (b"ID3", "mp3"), (b"ADIF", "aac")):
        if head.startswith(magic):
            return family
    if len(head) >= 2 and head[0] == 0xFF:
        if head[1] & 0xF6 == 0xF0:  # ADTS: 12 sync bits, layer 0
            return "aac"
        if head[1] & 0xE0 == 0xE0 and head[1] & 0x06 and _is_mpeg_audio(head[2:3]):  # 11 sync bits, a layer
            return "mp3"
    return None


def _is_mpeg_audio(third: bytes) -> bool:
    """Are bit rate and sample rate possible? Text in UTF-16 begins like MPEG audio otherwise."""
    return len(third) == 1 and third[0] >> 4 != 15 and third[0] >> 2 & 3 != 3


def _is_transport_stream(head: bytes) -> bool:
    """Three packets in a row begin with the sync byte; timestamped ones (.m2ts) after four more bytes."""
    for offset, step in ((0, _TS_PACKET), (4, _TIMESTAMPED_TS_PACKET)):
        marks = head[offset::step][:3]
        if marks == b"\x47" * 3:
            return True
    return False
