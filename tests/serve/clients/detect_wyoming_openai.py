"""What wyoming-openai finds out by itself about a server: python detect_wyoming_openai.py URL."""

import asyncio
import json
import sys

from wyoming_openai.compatibility import CustomAsyncOpenAI


async def main(url: str) -> None:
    client = await CustomAsyncOpenAI.create_autodetected_factory()(base_url=f"{url}/v1", api_key="any")
    voices = await client.list_supported_voices(["tts-1"], [], ["en-US"])
    print(json.dumps({"backend": str(client.backend), "voices": [voice.name for voice in voices]}))


asyncio.run(main(*sys.argv[1:]))
