"""Saved templates over HTTP: one process, several models, answers as JSON, a page to try them in a browser.

Needs the extra `serve` (FastAPI, uvicorn and prometheus-client); TensorFlow is not loaded.
"""

import asyncio
import contextlib
import gc
import hmac
import json
import math
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

import apptemplates
from apptemplates.data.schema import DataError, Schema
from apptemplates.deploy.serve_page import page
from apptemplates.deploy.slots import Slot, decoded

LARGEST = 10_000_000  # bytes of a request
MOST = 10_000  # queries of a request
PATIENCE = 20.0  # seconds in which a request must have arrived
LOOK = 1.0  # seconds between two looks for newer folders
TYPES = {"number": "number", "flag": "boolean", "vector": "array", "list": "array"}
BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


def build(
    folders: Sequence[Path],
    *,
    token: str | None = None,
    journal: Path | None = None,
    largest: int = LARGEST,
    most: int = MOST,
) -> FastAPI:
    """The application of a server.

    Args:
        folders: Saved templates; each is called as its folder.
        token: What a request must bring as `Authorization: Bearer ...`; None asks for nothing.
        journal: Folder in which observations are written down before they are acknowledged.
        largest: Bytes of a request, at most.
        most: Queries of a request, at most.

    Raises:
        ArchiveError: A folder can not be opened.
        ValueError: Two folders have one name.
    """
    slots: dict[str, Slot] = {}
    for folder in folders:
        if folder.name in slots:
            raise ValueError(f"serve: two folders are called {folder.name!r}; their names tell them apart.")
        slots[folder.name] = Slot(folder, journal)
    registry = CollectorRegistry()
    asked = Counter("apptemplates_requests", "Requests by model and status", ["model", "status"], registry=registry)
    rows = Counter("apptemplates_queries", "Queries answered", ["model"], registry=registry)
    took = Histogram("apptemplates_seconds", "Time of a request", ["model"], registry=registry, buckets=BUCKETS)
    renewed = Counter("apptemplates_renewed", "Times a newer folder was taken", ["model"], registry=registry)

    async def look() -> None:
        while True:
            await asyncio.sleep(LOOK)
            for slot in slots.values():
                if await asyncio.get_running_loop().run_in_executor(None, slot.renew):
                    renewed.labels(slot.name).inc()

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        gc.collect()
        gc.freeze()  # what is loaded stays: while it was looked through for garbage, requests waited
        watching = asyncio.create_task(look())
        yield
        watching.cancel()
        for slot in slots.values():
            slot.close()

    app = FastAPI(title="apptemplates", version=apptemplates.__version__, lifespan=lifespan, docs_url="/docs")

    def allowed(request: Request) -> None:
        if token is None:
            return
        given = request.headers.get("authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
            raise HTTPException(401, "give the token as 'Authorization: Bearer ...'", {"WWW-Authenticate": "Bearer"})

    def found(name: str) -> Slot:
        if name not in slots:
            raise HTTPException(404, f"there is no model {name!r}; there are {', '.join(slots)}")
        return slots[name]

    async def body(request: Request) -> bytes:
        told = request.headers.get("content-length", "")
        if told.isdigit() and int(told) > largest:
            raise HTTPException(413, f"the request has {int(told):,} bytes, at most {largest:,} are taken")
        parts, size = [], 0
        try:
            async with asyncio.timeout(PATIENCE):
                async for part in request.stream():
                    size += len(part)
                    if size > largest:
                        raise HTTPException(413, f"the request has more than {largest:,} bytes")
                    parts.append(part)
        except TimeoutError:
            raise HTTPException(408, f"the request did not arrive within {PATIENCE:g} seconds") from None
        return b"".join(parts)

    async def queries(slot: Slot, request: Request) -> tuple[list[Any], bool]:
        """What is asked, and whether as a list."""
        content = await body(request)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind.startswith(("image/", "audio/")) or kind == "application/octet-stream":
            if len(slot.media) != 1:
                raise HTTPException(415, f"{slot.name} is not asked by one picture or sound; send JSON")
            return [{slot.media[0]: content}], False
        try:
            given = json.loads(content)
        except (ValueError, RecursionError):
            raise HTTPException(400, "the body is no JSON; send one query as an object, or a list of them") from None
        several = isinstance(given, list)
        asked_for = given if several else [given]
        if not asked_for or not all(isinstance(query, dict) for query in asked_for):
            raise HTTPException(400, "send one query as an object, or a list of them that is not empty")
        if len(asked_for) > most:
            raise HTTPException(413, f"there are {len(asked_for):,} queries, at most {most:,} are taken")
        return [decoded(query, slot.media) for query in asked_for], several

    async def predict(name: str, request: Request) -> Response:
        began, slot = time.perf_counter(), found(name)
        allowed(request)
        asked_for, several = await queries(slot, request)
        answers = await slot.ask(asked_for)
        rows.labels(name).inc(len(answers))
        took.labels(name).observe(time.perf_counter() - began)
        if several:
            return said(answers)
        if answers[0]["problem"]:
            raise HTTPException(422, answers[0]["problem"])
        return said(answers[0])

    async def observe(name: str, request: Request) -> Response:
        slot = found(name)
        allowed(request)
        if not slot.app.observes:
            raise HTTPException(404, f"{name} keeps no past, so there is nothing to observe")
        records, _ = await queries(slot, request)
        await slot.observe(records)
        return said({"observed": len(records)})

    def bound(handler: Any, name: str) -> Any:
        async def one(request: Request) -> Response:
            response = await answered(handler, name, request)
            asked.labels(name, str(response.status_code)).inc()
            return response

        return one

    for name, slot in slots.items():
        add: dict[str, Any] = {"methods": ["POST"], "tags": [name], "response_class": JSONResponse}
        app.add_api_route(
            f"/{name}/predict", bound(predict, name), summary=f"Asks {slot.app.name}",
            openapi_extra=described(slot.app.query), operation_id=f"{name}_predict", **add,
        )  # fmt: skip
        if slot.app.observes:
            app.add_api_route(
                f"/{name}/observe", bound(observe, name), summary="Adds to the past", operation_id=f"{name}_observe",
                openapi_extra=described(slot.app.query), **add,
            )  # fmt: skip
    if len(slots) == 1:
        only = next(iter(slots))
        app.add_api_route(
            "/predict", bound(predict, only), methods=["POST"], tags=[only], response_class=JSONResponse,
            openapi_extra=described(slots[only].app.query), operation_id="predict",
        )  # fmt: skip

    @app.post("/{name}/{verb}", include_in_schema=False)
    async def nothing(name: str, verb: str) -> Response:
        found(name)
        verbs = "predict and observe" if slots[name].app.observes else "predict"
        raise HTTPException(404, f"{name} has no {verb!r}; it has {verbs}")

    @app.get("/health")
    async def health() -> Response:
        """What is served, and what is wrong with newer folders."""
        told = {
            name: {
                "template": slot.app.name,
                "query": {column: field.kind for column, field in slot.app.query.items()},
                "answer": list(slot.app.answer),
                "observes": slot.app.observes,
                "problem": slot.problem,
            }
            for name, slot in slots.items()
        }
        return said({"status": "ok", "models": told})

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(generate_latest(registry), media_type="text/plain; version=0.0.4")

    @app.get("/", include_in_schema=False)
    async def start() -> Response:
        return HTMLResponse(page({name: slot.app for name, slot in slots.items()}, token is not None))

    @app.exception_handler(HTTPException)
    async def wrong(request: Request, error: HTTPException) -> Response:
        return said({"error": error.detail}, error.status_code, error.headers)

    return app


async def answered(handler: Any, name: str, request: Request) -> Response:
    """What a handler of one model says, its refusals as one clear sentence."""
    try:
        response: Response = await handler(name, request)
    except HTTPException as error:
        return said({"error": error.detail}, error.status_code, error.headers)
    except DataError as error:
        return said({"error": str(error)}, 422)
    except OSError as error:
        return said({"error": f"what was observed could not be written down ({error.strerror})"}, 507)
    return response


def said(content: Any, status: int = 200, headers: Any = None) -> Response:
    """Plain values as JSON; what is not a number is null."""
    try:
        text = json.dumps(content, ensure_ascii=False, allow_nan=False)
    except (ValueError, TypeError):
        text = json.dumps(finite(content), ensure_ascii=False, default=str)
    return Response(text, status, headers, media_type="application/json")


def finite(content: Any) -> Any:
    """The same with null for NaN and infinities, which JSON lacks."""
    if isinstance(content, dict):
        return {name: finite(value) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return [finite(value) for value in content]
    if isinstance(content, float):
        return content if math.isfinite(content) else None
    return content.tolist() if hasattr(content, "tolist") else content


def described(query: Schema) -> dict[str, Any]:
    """What a request holds, for OpenAPI."""
    one = {
        "type": "object",
        "required": [name for name, field in query.items() if field.required],
        "properties": {name: described_field(field) for name, field in query.items()},
    }
    several = {"type": "array", "items": one}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": {"oneOf": [one, several]}}}}}


def described_field(field: Any) -> dict[str, Any]:
    """One column."""
    told: dict[str, Any] = {"type": TYPES.get(field.kind, "string"), "description": field.meaning}
    if field.kind in ("image", "sound"):
        told |= {"format": "byte", "description": f"{field.meaning}, the file as base64"}
    if field.kind == "time":
        told["format"] = "date-time"
    if field.low is not None:
        told["minimum"] = field.low
    if field.high is not None:
        told["maximum"] = field.high
    return told
