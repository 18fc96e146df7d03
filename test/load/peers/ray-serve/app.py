"""Ray Serve: HAProxy in front of replicas that batch with @serve.batch.

Settings and where they come from:
- HAProxy instead of the Python proxy: https://docs.ray.io/en/latest/serve/advanced-guides/haproxy-guide.html. The binary
  comes with ray[serve]. One thread for each core (RAY_SERVE_HAPROXY_NBTHREAD).
- RAY_SERVE_THROUGHPUT_OPTIMIZED=1, max_ongoing_requests=1000 for asynchronous code (the default of 5 would be less than
  a batch), request_timeout_s as long as an answer is worth having (then 408): all of
  https://docs.ray.io/en/latest/serve/advanced-guides/performance.html
- A replica for each core, each with one CPU: https://docs.ray.io/en/latest/serve/advanced-guides/asyncio-best-practices.html
  ("Parallel CPU scaling comes mostly from more processes").
- max_batch_size as in models/<model>/model.yaml, a power of two, and batch_wait_timeout_s far below the time that is
  left: https://docs.ray.io/en/latest/serve/advanced-guides/dyn-req-batch.html. 0, 2 and 10 ms took the same CPU a request
  at 128 connections; 0 answers soonest at few.
- No max_queued_requests, for which no page names a number. No dashboard, no usage report.
"""

import os
import socket
import tempfile
from typing import Any

from oip_model import CORES, DEADLINE_MS, MODEL_TYPE, PATH, PORT, run_batch

TEMP = tempfile.gettempdir()


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


# Read when ray.serve is imported, here and in every process that Ray starts from here.
os.environ |= {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    "RAY_SERVE_HAPROXY_NBTHREAD": str(CORES),
    "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": f"{TEMP}/haproxy/haproxy.cfg",
    "RAY_SERVE_HAPROXY_SOCKET_PATH": f"{TEMP}/haproxy/admin.sock",
    "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": f"{TEMP}/haproxy",
    "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": f"{TEMP}/haproxy/server-state",
    "RAY_SERVE_HAPROXY_METRICS_PORT": free_port(),
    "RAY_SERVE_HAPROXY_STATS_PORT": free_port(),
}

import ray  # noqa: E402
from ray import serve  # noqa: E402
from starlette.requests import Request  # noqa: E402
from starlette.responses import JSONResponse  # noqa: E402


@serve.deployment(num_replicas=CORES, max_ongoing_requests=1000, ray_actor_options={"num_cpus": 1})
class Peer:
    def __init__(self) -> None:
        self.model = MODEL_TYPE()

    @serve.batch(max_batch_size=MODEL_TYPE.max_batch_rows, batch_wait_timeout_s=0)
    async def infer(self, requests: list[list[Any]]) -> list[dict[str, Any]]:
        return run_batch(self.model, requests)

    async def __call__(self, request: Request) -> JSONResponse:
        body = await request.json()
        return JSONResponse(await self.infer(body["inputs"][0]["data"]))  # with a length; a dict would go out in chunks


if __name__ == "__main__":
    ray.init(num_cpus=CORES, include_dashboard=False, _temp_dir=f"{TEMP}/ray")
    serve.start(http_options={"host": "127.0.0.1", "port": PORT, "request_timeout_s": DEADLINE_MS / 1000})
    serve.run(Peer.bind(), route_prefix=PATH, blocking=True)
