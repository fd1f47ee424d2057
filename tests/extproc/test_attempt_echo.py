"""What an answer repeats of the client's request travels with the attempt to the call that translates a stream."""

from extproc import attempt_codec as codec
from extproc.attempt_codec import Attempted
from headgate.wire.ext_proc_pb2 import ProcessingRequest, ProcessingResponse

WHAT = Attempted(1, "r-1", "responses", "[]", echo='{"instructions":"Grüße"}')


def answered(what: Attempted) -> Attempted:
    """What the other call is told."""
    sent = ProcessingResponse.FromString(codec.request(b"{}", "/chat/completions", what=what))
    head = ProcessingRequest()
    head.metadata_context.filter_metadata["hg.attempt"].CopyFrom(
        sent.dynamic_metadata.fields["hg.attempt"].struct_value
    )
    return codec.answered(head)


def test_the_stream_s_call_is_told_what_to_repeat() -> None:
    assert answered(WHAT).echo == WHAT.echo


def test_where_nothing_is_repeated_nothing_travels() -> None:
    sent = ProcessingResponse.FromString(codec.request(b"{}", "/x", what=Attempted(1, "r-1", "chat", "[]")))
    assert "echo" not in sent.dynamic_metadata.fields["hg.attempt"].struct_value.fields
    assert answered(Attempted(1, "r-1", "chat", "[]")).echo == ""
