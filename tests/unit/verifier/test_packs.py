"""The archive of an evidence pack: only what the authority itself would write is unfolded."""

import io
import zipfile
from contextlib import suppress

import pytest

from batchtokens_verifier.errors import EvidenceNotValid, InvalidOperation
from batchtokens_verifier.packs import LETTER, PACK, README, parse_pack, zip_pack


def archive(method: int) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as files:
        files.writestr(PACK, b"{}")
        files.writestr(LETTER, README)
    return content.getvalue()


def test_reads_what_was_written() -> None:
    assert parse_pack(zip_pack(b"{}")) == {}
    assert parse_pack(archive(zipfile.ZIP_STORED)) == {}


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_ways_of_compressing_are_refused(method: int) -> None:
    with pytest.raises(InvalidOperation):
        parse_pack(archive(method))


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_broken_archive_is_refused_whatever_byte_is_wrong(method: int) -> None:
    content = archive(method)
    for place in range(len(content)):
        broken = content[:place] + bytes([content[place] ^ 0x41]) + content[place + 1 :]
        with suppress(InvalidOperation, EvidenceNotValid):
            parse_pack(broken)
