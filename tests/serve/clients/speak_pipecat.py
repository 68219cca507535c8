"""Pipecat's own service for OpenAI's speech: python speak_pipecat.py URL TEXT OUT.PCM."""

import asyncio
import json
import sys
from pathlib import Path

from pipecat.frames.frames import EndFrame, ErrorFrame, TTSAudioRawFrame, TTSSpeakFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.runner import PipelineRunner
from pipecat.pipeline.task import PipelineParams, PipelineTask
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.openai.tts import OpenAITTSService


class Ear(FrameProcessor):
    """Keeps what it hears."""

    heard, rates, errors = bytearray(), set(), []

    async def process_frame(self, frame, direction):
        await super().process_frame(frame, direction)
        if isinstance(frame, TTSAudioRawFrame):
            self.heard.extend(frame.audio)
            self.rates.add(frame.sample_rate)
        if isinstance(frame, ErrorFrame):
            self.errors.append(frame.error)
        await self.push_frame(frame, direction)


async def main(url: str, text: str, out: str) -> None:
    ear = Ear()
    speech = OpenAITTSService(api_key="any", base_url=f"{url}/v1")
    task = PipelineTask(Pipeline([speech, ear]), params=PipelineParams(audio_out_sample_rate=24_000))
    await task.queue_frames([TTSSpeakFrame(text), EndFrame()])
    await PipelineRunner(handle_sigint=False).run(task)
    Path(out).write_bytes(ear.heard)
    print(json.dumps({"rates": sorted(ear.rates), "errors": ear.errors}))


asyncio.run(main(*sys.argv[1:]))
