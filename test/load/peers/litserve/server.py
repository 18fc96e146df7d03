"""LitServe: API servers that hand requests to inference workers, which batch them.

Settings and where they come from (LitServe documents them in the docstrings of LitServer and LitServer.run, shown at
https://lightning.ai/docs/litserve/api-reference/litserver):
- workers_per_device: "For CPU, set to the number of cores"; num_api_servers: as many, which is also its default.
- fast_queue: ZeroMQ between the processes, for more than 100 requests a second.
- max_batch_size as in models/<model>/model.yaml. batch_timeout 10 ms took the least CPU a request of 0, 2 and 10 ms; with
  0 an idle worker never sleeps. https://lightning.ai/docs/litserve/features/batching
- timeout: as long as an answer is worth having; what waited longer in the workers' queue gets 504.
- log_level warning, no access log, no client file: its production example.
"""

from typing import Any

import litserve

from oip_model import CORES, DEADLINE_MS, MODEL_TYPE, PATH, PORT, run_batch


class Peer(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.model = MODEL_TYPE()

    def decode_request(self, request: dict[str, Any]) -> list[Any]:
        return request["inputs"][0]["data"]

    def batch(self, inputs: list[list[Any]]) -> list[list[Any]]:
        return inputs

    def predict(self, batch: list[list[Any]]) -> list[dict[str, Any]]:
        return run_batch(self.model, batch)

    def unbatch(self, output: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return output


if __name__ == "__main__":
    api = Peer(max_batch_size=MODEL_TYPE.max_batch_rows, batch_timeout=0.01, api_path=PATH)
    server = litserve.LitServer(
        api,
        accelerator="cpu",
        devices=1,
        workers_per_device=CORES,
        fast_queue=True,
        timeout=DEADLINE_MS / 1000,
    )
    server.run(
        host="127.0.0.1",
        port=PORT,
        num_api_servers=CORES,
        log_level="warning",
        access_log=False,
        generate_client_file=False,
        loop="uvloop",
        http="httptools",
    )
