"""Logging in and out."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from services.aggregator.page.access import COOKIE, SESSION_S
from services.aggregator.page.pane import Pane


def routes(pane: Pane) -> APIRouter:
    """These alone are open to everybody."""
    router = APIRouter()

    @router.get("/login")
    async def login_page(request: Request) -> HTMLResponse:
        return pane.render(request, "login.html", refusal=None, first=pane.access.first_password)

    @router.post("/login")
    async def login(request: Request, csrf: Annotated[str, Form()] = "", password: Annotated[str, Form(max_length=200)] = "") -> Response:
        pane.check(request, csrf)
        address = request.client.host if request.client else ""
        if wait_s := pane.access.wait_s(address, pane.clock.monotonic()):
            return pane.render(request, "login.html", 429, refusal=f"Too many tries; wait {wait_s} s.", first=pane.access.first_password)
        session = await asyncio.to_thread(pane.access.log_in, password, pane.clock.monotonic())
        if session is None:
            return pane.render(request, "login.html", 401, refusal="This is not the password.", first=pane.access.first_password)
        answer = RedirectResponse("/", 303)
        secure = request.headers.get("origin", "").startswith("https://")
        answer.set_cookie(COOKIE, session, max_age=int(SESSION_S), httponly=True, samesite="strict", secure=secure)
        return answer

    @router.post("/logout")
    async def logout(request: Request, csrf: Annotated[str, Form()] = "") -> Response:
        pane.check(request, csrf)
        pane.access.log_out(request.cookies.get(COOKIE, ""))
        return RedirectResponse("/login", 303)

    return router
