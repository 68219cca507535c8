"""LiveKit's own class for OpenAI's speech, as an agent uses it: python speak_livekit.py URL TEXT OUT.PCM FORMAT."""

import asyncio
import json
import sys
from pathlib import Path

from livekit.agents.utils import http_context
from livekit.plugins import openai


async def main(url: str, text: str, out: str, format: str) -> None:
    async with http_context.open():
        speech = openai.TTS(base_url=f"{url}/v1", api_key="any", response_format=format)
        stream = speech.synthesize(text)
        heard, rates = bytearray(), set()
        async for event in stream:
            heard.extend(event.frame.data.tobytes())
            rates.add(event.frame.sample_rate)
        await stream.aclose()
    Path(out).write_bytes(heard)
    print(json.dumps({"rates": sorted(rates)}))


asyncio.run(main(*sys.argv[1:]))
