"""A request's body as what its content type says that it is: JSON, or a form where the surface takes one."""

from extproc.document import Document
from extproc.form import Form
from extproc.multipart import is_form
from extproc.surface import Surface


def read(body: bytes, content_type: str, surface: Surface) -> Document | Form:
    """The parsed body. Raises BadRequest."""
    if surface.forms and is_form(content_type):
        return Form(body, content_type, surface)
    return Document(body)
