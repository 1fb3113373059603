"""How to call every route about money."""

from tests.isolation.checker import Call

PRICE = {
    "provider": "gemini",
    "model": "gemini-3.5-flash-lite",
    "meter": "tok_out",
    "unit_price": "1.5",
    "per_quantity": 1_000_000,
    "source": "our contract",
    "source_date": "2026-11-28",
}

COSTS: dict[tuple[str, str], Call] = {
    ("costs", "get"): Call(),
    ("usage", "get"): Call(),
    ("cost-budget", "get"): Call(),
    ("cost-budget", "put"): Call(body=lambda ids: {"period": "month", "cap_micros": 5_000_000}),
    ("cost-prices", "get"): Call(),
    ("cost-prices", "post"): Call(body=lambda ids: PRICE, status=201),
    ("cost-price", "delete"): Call(path={"pk": "own_price"}, status=204),
    ("cost-entry-list", "get"): Call(),
    ("paid-call-list", "get"): Call(),
    ("paid-call-detail", "get"): Call(path={"pk": "paid_call"}),
    ("paid-call-reconcile", "post"): Call(path={"pk": "paid_call"}, body=lambda ids: {"amount_micros": 7}),
}
