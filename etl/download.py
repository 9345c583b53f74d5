"""Download one archive by HTTP so that it can be interrupted anywhere, and goes on from there.

The client is aiohttp, which Segue has anyway: it bounds connecting and silence apart, and hands out the
bytes as they come. pooch and its ``downloader=`` would add nothing here: it puts a download under a name of
its own making until it is complete, so that there is nothing to go on from, and hashes the file once more.

A hung or cut connection, a 5xx and a 429 are tried again after growing pauses, as long as the server gives
something now and then. The answer to a request for a range is checked (RFC 9110, section 14): 206 must begin
where we are and be of the version that we have; 200 is the whole file, and we begin again; after 416 too,
unless we have all of it.
"""

import asyncio
import re
import time
from pathlib import Path

import aiohttp
import stamina

from etl.archives import Archive
from etl.part_file import PartFile, Version
from etl.patience import NotNow, Patience, pause, retry_after_s, saying_retries
from etl.progress import Meter, meter
from schemas.errors import InvalidInput, Unavailable

_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_CONTENT_RANGE = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15})", re.ASCII)


async def download(archive: Archive, base_url: str, target: Path, patience: Patience) -> int:
    """Bring ``target`` in, going on from what an earlier run has left; return how many bytes came now.

    Raises
    ------
    Unavailable
        The server did not give the file within the given patience; what came is kept.
    InvalidInput
        The server has no such file, or another one; or the hash is wrong, then it is deleted.
    MissingRequirement
        The disk is full; what came is kept.
    """
    url = f"{base_url.rstrip('/')}/{archive.file}"
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=patience.connect_s, sock_read=patience.silence_s)
    with PartFile(target) as part:
        with meter(f"SHA-1 of {part.path.name}", part.bytes_on_disk, in_bytes=True) as seen:
            part.resume(url, seen.advance)
        with meter(archive.file, archive.size, in_bytes=True) as progress:
            progress.stand_at(part.length)
            transfer = _Transfer(archive, url, part, progress)
            with saying_retries():
                await transfer.complete(timeout, patience)
        part.finish(archive.sha1)
    return transfer.received


class _Transfer:
    """One file on its way."""

    def __init__(self, archive: Archive, url: str, part: PartFile, progress: Meter) -> None:
        self.archive, self.url, self.part, self.progress = archive, url, part, progress
        self.received = 0

    async def complete(self, timeout: aiohttp.ClientTimeout, patience: Patience) -> None:
        """Bring in what is missing, if anything is."""
        if self.part.version is not None and self.part.length == self.part.version.length:
            return
        # proxies of the environment hold; a compressed answer would not be the file
        async with aiohttp.ClientSession(
            timeout=timeout,
            trust_env=True,
            auto_decompress=False,
            headers={"Accept-Encoding": "identity", "User-Agent": "segue"},
        ) as session:
            await self._ask_until_done(session, patience)

    async def _ask_until_done(self, session: aiohttp.ClientSession, patience: Patience) -> None:
        """Ask again and again, as long as that brings something new."""
        while True:
            held = self.part.most
            try:
                async for attempt in stamina.retry_context(
                    on=pause,
                    attempts=patience.attempts,
                    timeout=None,
                    wait_initial=patience.first_pause_s,
                    wait_max=patience.longest_pause_s,
                    wait_jitter=patience.first_pause_s,
                ):
                    with attempt:
                        try:
                            return await self._request(session)
                        except NotNow as error:
                            if error.pause_s is not None or self.part.most < held + patience.gain:
                                raise
            except NotNow as error:
                raise Unavailable(
                    f"{error}. {self.part.length:,} bytes are kept in {self.part.path}: "
                    "the same command goes on from there."
                ) from error
            await asyncio.sleep(patience.first_pause_s)

    async def _request(self, session: aiohttp.ClientSession) -> None:
        """Ask for what is missing and take it, or raise."""
        headers = {}
        if self.part.length and self.part.version is not None:
            headers["Range"] = f"bytes={self.part.length}-"
            if self.part.version.strong_etag:
                headers["If-Range"] = self.part.version.strong_etag
        try:
            async with session.get(self.url, headers=headers, max_redirects=5) as response:
                if not self._begin(response):
                    return
                async for data in response.content.iter_any():
                    self._take(data)
        except aiohttp.TooManyRedirects as error:
            raise InvalidInput(
                f"{self.url} leads from address to address without end: set SEGUE_FMA_URL to another server."
            ) from error
        except aiohttp.InvalidURL as error:
            raise InvalidInput(f"{self.url} is no address: set SEGUE_FMA_URL to one.") from error
        except aiohttp.ClientConnectorError as error:
            raise NotNow(f"{self.url} cannot be reached ({error})") from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            cut = isinstance(error, aiohttp.ClientPayloadError)
            what = "the connection was cut" if cut else str(error) or type(error).__name__
            raise NotNow(f"{self.url} broke off at byte {self.part.length:,} ({what})") from error
        self._check_length()

    def _begin(self, response: aiohttp.ClientResponse) -> bool:
        """Decide what an answer means; return False when nothing is missing."""
        if self.url.startswith("https:") and response.url.scheme != "https":
            raise InvalidInput(
                f"{self.url} leads to {response.url}, which is not encrypted: it was not followed."
            )
        if response.status in _AGAIN:
            wait = retry_after_s(response.headers.get("Retry-After"), time.time())
            raise NotNow(f"{self.url} answered {response.status} {response.reason}", wait)
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise InvalidInput(f"{self.url} answers with compressed content, which nobody asked for.")
        if response.status == 200:
            self._begin_again(response)
            return True
        if response.status == 206 and self.part.length:
            return self._go_on(response)
        if response.status == 416 and self.part.length:
            return self._beyond_the_end(response)
        raise InvalidInput(
            f"{self.url} answered {response.status} {response.reason}: set SEGUE_FMA_URL to a server that "
            "has the archives of FMA, or give a file that you have with --from."
        )

    def _begin_again(self, response: aiohttp.ClientResponse) -> None:
        length = response.content_length
        if length is not None and (
            length > self.archive.most_bytes or (self.archive.size_is_exact and length != self.archive.size)
        ):
            raise InvalidInput(self._wrong_size(f"{length:,} bytes"))
        if length is None and self.archive.size_is_exact:
            length = self.archive.size
        self.part.start_over(_version(self.url, response, length))
        self.progress.stand_at(0, length)

    def _go_on(self, response: aiohttp.ClientResponse) -> bool:
        said = response.headers.get("Content-Range", "")
        match = _CONTENT_RANGE.fullmatch(said)
        first, last, total = (int(group) for group in match.groups()) if match else (-1, -1, -1)
        there = _version(self.url, response, total)
        if (
            first != self.part.length
            or last >= total
            or response.content_length not in (None, last - first + 1)
            or self.part.version is None
            or not there.same_as(self.part.version)
        ):
            held = self.part.length
            self.part.start_over(None)
            self.progress.stand_at(0)
            raise NotNow(
                f"{self.url} was asked for all from byte {held:,} and answered {said!r}, or of another "
                "version of the file: the download begins again"
            )
        self.progress.stand_at(self.part.length, total)
        return True

    def _beyond_the_end(self, response: aiohttp.ClientResponse) -> bool:
        if response.headers.get("Content-Range") == f"bytes */{self.part.length}":
            return False
        self.part.start_over(None)
        self.progress.stand_at(0)
        raise NotNow(f"{self.url} has fewer bytes than were here: the download begins again")

    def _take(self, data: bytes) -> None:
        version = self.part.version
        most = version.length if version and version.length is not None else self.archive.most_bytes
        if self.part.length + len(data) > most:
            self.part.discard()
            raise InvalidInput(self._wrong_size(f"more than {most:,} bytes"))
        self.part.append(data)
        self.received += len(data)
        self.progress.advance(len(data))

    def _check_length(self) -> None:
        version = self.part.version
        if version and version.length is not None and self.part.length < version.length:
            raise NotNow(f"{self.url} ended at byte {self.part.length:,} of {version.length:,}")

    def _wrong_size(self, found: str) -> str:
        about = "" if self.archive.size_is_exact else "about "
        return (
            f"{self.url} offers {found}, but {self.archive.file} has {about}{self.archive.size:,}: it is "
            "another file. Set SEGUE_FMA_URL to a server that has the archives of FMA."
        )


def _version(url: str, response: aiohttp.ClientResponse, length: int | None) -> Version:
    headers = response.headers
    return Version(url=url, etag=headers.get("ETag"), modified=headers.get("Last-Modified"), length=length)
