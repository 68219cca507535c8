"""`glowtron push`: a voice to the Hugging Face hub."""

from __future__ import annotations

import click

from glowtron.cli.options import voice_option


@click.command()
@click.argument("repository", metavar="OWNER/NAME[@BRANCH]")
@voice_option
@click.option("--private", is_flag=True, help="Make the repository private, if it is not there yet.")
@click.option("--message", metavar="TEXT", default="Upload a voice", show_default=True, help="Of the commit.")
@click.option("--card", is_flag=True, help="Show the card that would be written, and upload nothing.")
def push(repository: str, voice: str | None, private: bool, message: str, card: bool) -> None:
    """Publish a voice on the Hugging Face hub, with a card that has its measures.

    A token is taken from HF_TOKEN or from `hf auth login`. Whoever has the address speaks with the voice as
    --voice hf://OWNER/NAME.

    \b
    Examples:
      glowtron push me/my-voice --voice my-voice
      glowtron push me/my-voice --voice my-voice --card
    """
    from glowtron.hub import model_card, parse_reference
    from glowtron.voice_folder import read_voice
    from glowtron.voices import find_voice

    reference = parse_reference(repository if repository.startswith("hf://") else f"hf://{repository}")
    if card:
        click.echo(model_card(read_voice(find_voice(voice)), reference.repository), nl=False)
        return
    from glowtron.voice import Voice

    address = Voice.load(voice, device="cpu").push_to_hub(repository, private=private, message=message)
    click.echo(f"{address}: uploaded; try: glowtron say Hello. --voice hf://{reference.repository}")
