"""Items side by side with what a model wrote of them, for a person to judge, as one HTML file."""

import base64
import io
from collections.abc import Sequence
from itertools import groupby

from markupsafe import Markup

from common.page import Block, Cell, Figure, Gallery, Paragraph, Points, Section, Table, render
from encoders.errors import DecodeError
from encoders.image import ImagePreparer
from encoders.pool import Decoder
from encoders.reading import MediaReader
from etl.enrichment.asking import Answered
from etl.enrichment.enrichment import EnrichmentReport
from etl.enrichment.records import ItemRecord

_PIXELS = 240
_CHARACTERS = 1200
"""Of an item's texts that are shown."""


def review_page(
    answers: Sequence[Answered], report: EnrichmentReport, reader: MediaReader, *, title: str, most: int
) -> str:
    """The document; at most `most` items, in the order of the first answers. Every text in it is escaped."""
    decoder = Decoder(ImagePreparer(_PIXELS, "pad"), reader.limits)
    try:
        items = [list(of_item) for _, of_item in groupby(answers, lambda answer: answer.question.record.item_id)]
        sections = [_item(of_item, reader, decoder) for of_item in items[:most]]
    finally:
        decoder.close()
    lead = (
        f"{report.texts:,} texts and {report.facts:,} facts in {report.asked:,} replies; {report.left_out:,} replies, "
        f"or parts of them, did not fit. {len(sections):,} items are shown."
    )
    return render(title, [Paragraph(lead), *sections])


def _item(answers: Sequence[Answered], reader: MediaReader, decoder: Decoder) -> Section:
    record = answers[0].question.record
    blocks: list[Block] = []
    if pictures := _pictures(record, reader, decoder):
        blocks.append(Gallery(pictures))
    blocks += [Paragraph(f"{name}: {value}", soft=True) for name, value in record.attributes.items()]
    if text := " ".join(record.texts):
        blocks.append(Paragraph(text[:_CHARACTERS] + ("…" if len(text) > _CHARACTERS else ""), soft=True))
    media = {medium.id: medium.ref.uri or "" for found in record.media.values() for medium in found}
    rows: list[list[Cell]] = [
        [(finding.value, finding.kind), media.get(finding.evidence, finding.evidence)]
        for answer in answers
        for finding in answer.findings
    ]
    if rows:
        blocks.append(Table(["written", "from"], rows, words=True))
    problems = [f"{answer.question.task.name}: {problem}" for answer in answers for problem in answer.problems]
    if problems:
        blocks += [Paragraph("Left out:"), Points(problems)]
    if not rows and not problems:
        blocks.append(Paragraph("Nothing was found.", soft=True))
    return Section(f"{record.title or record.item_id} ({record.item_id})", blocks)


def _pictures(record: ItemRecord, reader: MediaReader, decoder: Decoder) -> list[Figure]:
    from PIL import Image

    figures = []
    for medium in record.media.get("image", ()):
        try:
            pixels = decoder(reader.read(medium.ref)).array
        except DecodeError:
            continue
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        data = base64.b64encode(file.getvalue()).decode()
        drawing = Markup('<img width="{0}" height="{0}" alt="" src="data:image/png;base64,{1}">').format(_PIXELS, data)
        figures.append(Figure(drawing, medium.ref.uri or ""))
    return figures
