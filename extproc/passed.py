"""The endpoints whose requests and answers pass: pictures, sound, moderations, rankings. Data only.

Spelled as OpenAI's reference has them (its OpenAPI file, version 2.3.0); `rerank` is Cohere's, as Jina and vLLM have
it.
"""

from extproc.surface import FLAG, MODEL, NUMBER, TEXT, WHOLE, Surface, Types, Upload

_FILE = Types((Upload,), required=True)
_ANY_TEXT = Types((str,), required=True)

_PICTURE = {
    "model": MODEL,
    "prompt": _ANY_TEXT,
    "background": TEXT,
    "n": WHOLE,
    "output_compression": WHOLE,
    "output_format": TEXT,
    "partial_images": WHOLE,
    "quality": TEXT,
    "response_format": TEXT,
    "size": TEXT,
    "stream": FLAG,
    "user": TEXT,
}

IMAGES = Surface(
    "images",
    "/images/generations",
    {**_PICTURE, "moderation": TEXT, "style": TEXT},
    streams=True,
    operation="image_generation",
    prompt="prompt",
    passes=True,
    unit="image",
)

IMAGE_EDITS = Surface(
    "image_edits",
    "/images/edits",
    {
        **_PICTURE,
        "image": Types((Upload, str, list, dict)),
        "input_fidelity": TEXT,
        "mask": Types((Upload, str, dict)),
    },
    streams=True,
    operation="image_generation",
    prompt="prompt",
    passes=True,
    forms=True,
    unit="image",
)

IMAGE_VARIATIONS = Surface(
    "image_variations",
    "/images/variations",
    {"model": MODEL, "image": _FILE, "n": WHOLE, "response_format": TEXT, "size": TEXT, "user": TEXT},
    streams=False,
    operation="image_generation",
    prompt="image",
    passes=True,
    forms=True,
    json=False,
    unit="image",
)

SPEECH = Surface(
    "speech",
    "/audio/speech",
    {
        "model": MODEL,
        "input": _ANY_TEXT,
        "instructions": TEXT,
        "response_format": TEXT,
        "speed": NUMBER,
        "stream_format": TEXT,
        "voice": Types((str, dict)),
    },
    streams=True,
    operation="text_to_speech",
    prompt="input",
    passes=True,
    answer_types=("audio/", "application/octet-stream"),
    unit="character",
)

_WRITTEN = ("text/plain", "text/srt", "text/vtt", "application/x-subrip")
_HEARD = {
    "model": MODEL,
    "file": _FILE,
    "prompt": TEXT,
    "response_format": TEXT,
    "temperature": NUMBER,
}

TRANSCRIPTIONS = Surface(
    "transcriptions",
    "/audio/transcriptions",
    {**_HEARD, "chunking_strategy": Types((str, dict)), "language": TEXT, "stream": FLAG},
    streams=True,
    operation="speech_to_text",
    prompt="file",
    passes=True,
    forms=True,
    json=False,
    answer_types=_WRITTEN,
    unit="second",
)

TRANSLATIONS = Surface(
    "translations",
    "/audio/translations",
    _HEARD,
    streams=False,
    operation="speech_to_text",
    prompt="file",
    passes=True,
    forms=True,
    json=False,
    answer_types=_WRITTEN,
    unit="second",
)

MODERATIONS = Surface(
    "moderations",
    "/moderations",
    {"model": MODEL, "input": Types((str, list), required=True)},
    streams=False,
    operation="moderation",
    prompt="input",
    passes=True,
)

RERANK = Surface(
    "rerank",
    "/rerank",
    {
        "model": MODEL,
        "query": Types((str, dict), required=True),
        "documents": Types((list, dict), required=True),
        "return_documents": FLAG,
        "top_n": WHOLE,
    },
    streams=False,
    operation="rerank",
    prompt="documents",
    passes=True,
    unit="search",
)

PASSED = (IMAGES, IMAGE_EDITS, IMAGE_VARIATIONS, SPEECH, TRANSCRIPTIONS, TRANSLATIONS, MODERATIONS, RERANK)
