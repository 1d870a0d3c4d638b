"""The shop's API with a real database: its rules, its one error shape, and its description."""

from __future__ import annotations

import asyncio
import itertools
from datetime import date, datetime, timezone

import httpx
import jsonschema
import pytest
import sqlalchemy as sa
from starlette.applications import Starlette

from shop.app import Shop, create_app, load_openapi, routes
from shop.database import open_database
from shop.seed import seed
from shop.tables import outbox, password_resets, tickets

ANN = "ann@example.com"
NOW = datetime(2024, 6, 10, 12, 0, tzinfo=timezone.utc)


@pytest.fixture
def shop(tmp_path) -> Shop:
    engine = open_database(f"sqlite:///{tmp_path}/shop.db")
    seed(engine, date(2024, 6, 10))
    numbers = itertools.count(1)
    return Shop(
        engine,
        now=lambda: NOW,
        new_reference=lambda prefix: f"{prefix}{next(numbers):08d}",
        new_code=lambda: "12345678",
    )


class Api:
    """The application without a server: each request runs to its end."""

    def __init__(self, app: Starlette) -> None:
        self.transport = httpx.ASGITransport(app, raise_app_exceptions=False)

    def request(self, method: str, path: str, **more) -> httpx.Response:
        async def send() -> httpx.Response:
            async with httpx.AsyncClient(transport=self.transport, base_url="http://shop") as client:
                return await client.request(method, path, **more)

        return asyncio.run(send())

    def get(self, path: str, **more) -> httpx.Response:
        return self.request("GET", path, **more)

    def post(self, path: str, **more) -> httpx.Response:
        return self.request("POST", path, **more)

    def put(self, path: str, **more) -> httpx.Response:
        return self.request("PUT", path, **more)


@pytest.fixture
def api(shop) -> Api:
    return Api(create_app(shop))


def rows(shop, table):
    with shop.engine.connect() as connection:
        return connection.execute(sa.select(table)).all()


def assert_error(response, status, code):
    assert response.status_code == status
    assert set(response.json()) == {"error"}
    error = response.json()["error"]
    assert set(error) == {"code", "message", "next_step"}
    assert error["code"] == code
    assert error["message"]
    assert error["next_step"]


def schema_of(schema):
    """A schema of the description as plain JSON Schema: OpenAPI 3.0 writes 'nullable' where that has no word."""
    if isinstance(schema, list):
        return [schema_of(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return schema_of(load_openapi()["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]])
    plain = {key: schema_of(value) for key, value in schema.items() if key != "nullable"}
    return {"anyOf": [plain, {"type": "null"}]} if schema.get("nullable") else plain


def assert_described(response, method, path):
    answer = load_openapi()["paths"][path][method]["responses"][str(response.status_code)]
    jsonschema.validate(response.json(), schema_of(answer["content"]["application/json"]["schema"]))


def test_the_description_lists_every_route_and_no_other(shop):
    described = {(method.upper(), path) for path, methods in load_openapi()["paths"].items() for method in methods}
    assert described == {(method, path) for method, path, _ in routes(shop)}


def test_health_and_description_are_served(api):
    assert api.get("/healthz").json() == {"status": "ok"}
    assert api.get("/openapi.json").json() == load_openapi()


def test_the_number_alone_shows_the_public_view(api):
    response = api.get("/api/v1/orders/10342")
    assert_described(response, "get", "/api/v1/orders/{number}")
    assert response.json() == {
        "order_number": 10342,
        "status": "in_transit",
        "carrier": response.json()["carrier"],
        "expected_on": "2024-06-12",
        "delivered_on": None,
        "late": False,
        "item_count": response.json()["item_count"],
    }


def test_the_email_address_shows_the_whole_order(api):
    by_header = api.get("/api/v1/orders/10342", headers={"X-Customer-Email": "Ann@Example.com"})
    by_query = api.get("/api/v1/orders/10342", params={"email": ANN})
    assert_described(by_header, "get", "/api/v1/orders/{number}")
    assert by_header.json() == by_query.json()
    assert by_header.json()["tracking_code"].startswith("FW")
    total = by_header.json()["total"]["cents"]
    assert total == sum(item["quantity"] * item["unit_price"]["cents"] for item in by_header.json()["items"])


def test_a_wrong_email_address_shows_nothing(api):
    assert_error(api.get("/api/v1/orders/10342", params={"email": "eve@example.com"}), 403, "not_verified")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/v1/orders/19999", 404, "not_found"),
        ("GET", "/api/v1/orders/1", 400, "bad_request"),
        ("GET", "/api/v1/orders/١٠٣٤٢", 400, "bad_request"),
        ("GET", "/api/v1/orders/10342?email=nobody", 400, "bad_request"),
        ("GET", "/api/v1/orders", 400, "bad_request"),
        ("GET", "/api/v1/orders?order_number=10342", 400, "bad_request"),
        ("GET", "/api/v1/orders/10342/refund", 400, "bad_request"),
        ("POST", "/api/v1/orders/10017/cancel", 400, "bad_request"),
        ("POST", "/api/v1/tickets", 400, "bad_request"),
        ("GET", "/api/v1/tickets/T-99999999", 404, "not_found"),
        ("GET", "/nowhere", 404, "not_found"),
        ("DELETE", "/api/v1/orders/10342", 405, "method_not_allowed"),
    ],
)
def test_every_error_has_the_one_shape(api, method, path, status, code):
    assert_error(api.request(method, path), status, code)


@pytest.mark.parametrize("body", ["[]", "no json", '{"email": 5}', '{"email": " "}', "[" * 5000])
def test_a_malformed_body_is_refused(api, body):
    assert_error(api.post("/api/v1/password-resets", content=body), 400, "bad_request")


def test_a_huge_body_is_refused(api):
    assert_error(api.post("/api/v1/password-resets", content="x" * 20_000), 413, "too_large")


def test_a_failure_inside_keeps_its_details_to_itself(api, shop):
    with shop.engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE refunds"))
    response = api.get("/api/v1/orders/10342/refund", params={"email": ANN})
    assert_error(response, 500, "internal_error")
    assert "refunds" not in response.text


def test_the_history_needs_one_order_and_lists_all(api):
    response = api.get("/api/v1/orders", params={"order_number": "10342", "email": ANN})
    assert_described(response, "get", "/api/v1/orders")
    assert {order["order_number"] for order in response.json()["orders"]} == {
        10342, 10007, 10017, 10025, 10033, 10041,
    }  # fmt: skip


def test_canceling_works_once_before_the_parcel_leaves_and_is_refunded(api):
    first = api.post("/api/v1/orders/10017/cancel", json={"email": ANN})
    again = api.post("/api/v1/orders/10017/cancel", json={"email": ANN})
    assert_described(first, "post", "/api/v1/orders/{number}/cancel")
    assert first.json()["status"] == "canceled"
    assert again.json() == first.json()
    refund = api.get("/api/v1/orders/10017/refund", params={"email": ANN})
    assert_described(refund, "get", "/api/v1/orders/{number}/refund")
    assert refund.json()["state"] == "pending"
    assert refund.json()["amount"] == first.json()["total"]


def test_what_has_left_is_neither_canceled_nor_readdressed(api):
    assert_error(api.post("/api/v1/orders/10342/cancel", json={"email": ANN}), 409, "not_possible")
    body = {"email": ANN, "address": "12 Elm Street, Cork"}
    assert_error(api.put("/api/v1/orders/10342/address", json=body), 409, "not_possible")


def test_the_address_changes_before_the_parcel_leaves(api):
    body = {"email": ANN, "address": "12 Elm Street, Cork"}
    response = api.put("/api/v1/orders/10017/address", json=body)
    assert_described(response, "put", "/api/v1/orders/{number}/address")
    assert response.json()["shipping_address"] == "12 Elm Street, Cork"


def test_a_return_is_opened_once_inside_the_window(api, shop):
    first = api.post("/api/v1/orders/10025/returns", json={"email": ANN, "reason": "too small"})
    again = api.post("/api/v1/orders/10025/returns", json={"email": ANN})
    assert_described(first, "post", "/api/v1/orders/{number}/returns")
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert [mail.kind for mail in rows(shop, outbox)] == ["return_label"]
    refund = api.get("/api/v1/orders/10025/refund", params={"email": ANN}).json()
    assert refund["state"] == "awaiting_parcel"


@pytest.mark.parametrize("number", ["10007", "10342", "10041"])
def test_no_return_outside_the_window_or_before_delivery(api, number):
    assert_error(api.post(f"/api/v1/orders/{number}/returns", json={"email": ANN}), 409, "not_possible")


def test_the_balance_needs_an_order_and_its_address(api):
    response = api.get("/api/v1/account/balance", params={"order_number": "10342", "email": ANN})
    assert_described(response, "get", "/api/v1/account/balance")
    assert response.json() == {"balance": {"cents": 2500, "currency": "EUR"}}
    stranger = {"order_number": "10342", "email": "luis.ortega@example.com"}
    assert_error(api.get("/api/v1/account/balance", params=stranger), 403, "not_verified")


def test_a_password_reset_never_tells_whether_there_is_an_account(api, shop):
    known = api.post("/api/v1/password-resets", json={"email": ANN})
    unknown = api.post("/api/v1/password-resets", json={"email": "nobody@example.com"})
    assert (known.status_code, known.content) == (unknown.status_code, unknown.content)
    assert known.status_code == 202
    (mail,) = rows(shop, outbox)
    assert mail.recipient == ANN
    assert "12345678" in mail.body
    (reset,) = rows(shop, password_resets)
    assert "12345678" not in reset.code_sha256


def test_the_invoice_goes_to_the_orders_own_address(api, shop):
    response = api.post("/api/v1/orders/10342/invoice", json={"email": ANN})
    assert response.status_code == 202
    assert [(mail.kind, mail.recipient) for mail in rows(shop, outbox)] == [("invoice", ANN)]


def test_the_same_key_opens_one_ticket(api, shop):
    body = {"topic": "complaint", "body": "Broken lamp", "email": ANN, "order_number": 10342}
    headers = {"Idempotency-Key": "key-00000001"}
    first = api.post("/api/v1/tickets", json=body, headers=headers)
    again = api.post("/api/v1/tickets", json=body, headers=headers)
    assert_described(first, "post", "/api/v1/tickets")
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert len(rows(shop, tickets)) == 1
    found = api.get(f"/api/v1/tickets/{first.json()['reference'].lower()}")
    assert_described(found, "get", "/api/v1/tickets/{reference}")
    assert "Broken lamp" not in found.text


def test_with_a_token_only_health_and_description_are_open(shop):
    api = Api(create_app(shop, token="secret-token"))
    assert_error(api.get("/api/v1/orders/10342"), 401, "not_authorized")
    wrong = {"Authorization": "Bearer wrong"}
    assert_error(api.get("/api/v1/orders/10342", headers=wrong), 401, "not_authorized")
    right = {"Authorization": "Bearer secret-token"}
    assert api.get("/api/v1/orders/10342", headers=right).status_code == 200
    assert api.get("/healthz").status_code == 200
    assert api.get("/openapi.json").status_code == 200
