"""Events of the CNCF's Python SDK (cloudevents 2.2) over nats-py, in both modes: python cloud_events.py nats://127.0.0.1:8010"""

import asyncio
import sys

import nats
from cloudevents.core.bindings.http import HTTPMessage, from_http, to_binary, to_structured
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

REQUEST = {"inputs": [{"name": "client_id", "datatype": "BYTES", "shape": [1, 1], "data": ["1"]}]}
SUBJECT = "spillway.v1.events.anonymous.infer.credit-risk"
TRACE = {"traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01", "tracestate": "rojo=1"}


def on_nats(message, mode):
    # the SDK writes for HTTP, where the content type of binary data is no attribute
    content_type = "ce-datacontenttype" if mode == "binary" else "Content-Type"
    return {content_type if name.lower() == "content-type" else name: value for name, value in message.headers.items()}


def from_nats(message):
    headers = {name.lower(): value for name, value in message.headers.items()}
    headers.setdefault("content-type", headers.pop("ce-datacontenttype", ""))
    return from_http(HTTPMessage(headers, message.data), JSONFormat())


async def main(url):
    nc = await nats.connect(url)
    for mode, write in (("binary", to_binary), ("structured", to_structured)):
        inbox = nc.new_inbox()
        results = await nc.subscribe(inbox)
        attributes = {"source": "/shop", "type": "order.placed", "datacontenttype": "application/json"}
        event = CloudEvent({**attributes, "correlationid": "basket 7", **TRACE}, REQUEST)
        message = write(event, JSONFormat())
        headers = {**on_nats(message, mode), "spillway-reply-to": inbox}
        await nc.jetstream().publish(SUBJECT, message.body, headers=headers)
        result = from_nats(await results.next_msg(timeout=5))
        print(mode, result.get_type(), result.get_source(), result.get_extension("causationid") == event.get_id())
        print("  made after the event:", result.get_time() >= event.get_time())
        print(" ", result.get_extension("correlationid"), "|", result.get_extension("tracestate"))
        print(" ", result.get_extension("traceparent")[:35], result.get_data()["outputs"])
    await nc.close()


asyncio.run(main(sys.argv[1]))
