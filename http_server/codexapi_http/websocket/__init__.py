"""The Responses API over WebSocket: `GET /v1/responses` with an upgrade.

* `upgrade.py`     the endpoint: it refuses by HTTP, or hands the TCP connection over
* `connection.py`  one WebSocket: reads messages, writes frames, pings and closes
* `lanes.py`       what its messages request: one queue and worker for each lane
* `chains.py`      the responses that it remembers, since nobody stores them
* `frames.py`      a response's events as text frames

Nothing of this is imported before the first upgrade but `upgrade.py`.
"""
