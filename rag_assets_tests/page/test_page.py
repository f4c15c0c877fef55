"""The page against a stand-in: how it looks to everybody, and what it does when things go wrong."""

from __future__ import annotations

from typing import Any

import pytest

from rag.api import page_routes
from rag_assets_tests.page.accessibility import faults
from rag_assets_tests.page.conftest import OpenPage
from rag_assets_tests.page.stand_in import FAILURE, NASTY, StandIn, document, hit, served

pytestmark = pytest.mark.slow

QUESTION = "How often is the haul rope inspected?"
WAYS = [(1440, "light"), (1440, "dark"), (360, "light"), (360, "dark")]


def ask(page: Any, question: str = QUESTION) -> None:
    """Ask, and wait for the answer to be there."""
    page.fill("#question", question)
    page.keyboard.press("Enter")
    page.wait_for_selector(".feedback")


@pytest.mark.parametrize(("width", "scheme"), WAYS)
def test_every_view_is_accessible(
    stand_in: StandIn, open_page: OpenPage, width: int, scheme: str
) -> None:
    page = open_page(stand_in.url, width=width, scheme=scheme)
    page.wait_for_selector(".welcome h2")
    found = {"welcome": faults(page)}
    ask(page)
    page.click("text=Not helpful")
    found["answer"] = faults(page)
    page.click(".cite >> nth=0")
    page.wait_for_selector("#passage .sheet")
    found["page"] = faults(page)
    page.click("#show-text")
    page.wait_for_selector("#passage mark")
    found["text"] = faults(page)
    page.keyboard.press("Escape")
    page.click("#open-shortcuts")
    found["shortcuts"] = faults(page)
    page.keyboard.press("Escape")
    page.click("#open-key")
    found["key"] = faults(page)
    page.keyboard.press("Escape")
    page.click("text=Documents")
    page.wait_for_selector("table.list")
    found["documents"] = faults(page)
    page.click("text=System")
    page.wait_for_selector(".tile")
    found["system"] = faults(page)

    assert not any(found.values()), found


def test_the_accessibility_check_finds_what_is_wrong(
    stand_in: StandIn, open_page: OpenPage
) -> None:
    page = open_page(stand_in.url)
    page.wait_for_selector(".welcome h2")
    page.evaluate(
        """() => {
        const main = document.querySelector('main');
        main.append(document.createElement('button'), document.createElement('img'));
        const pale = document.createElement('p');
        pale.textContent = 'pale'; pale.style.color = '#999'; pale.id = 'main';
        main.append(pale);
    }"""
    )

    found = " ".join(faults(page))
    for what in ("without a name", "without a text", "contrast", "id twice"):
        assert what in found


def test_an_answer_is_streamed_cited_and_announced(stand_in: StandIn, open_page: OpenPage) -> None:
    stand_in.delay_s = 0.05
    page = open_page(stand_in.url)
    page.wait_for_selector(".welcome h2")
    page.fill("#question", QUESTION)
    page.keyboard.press("Enter")
    page.wait_for_selector(".answer[aria-busy] .cite")
    early = page.inner_text(".answer")
    page.wait_for_selector(".feedback")

    assert 0 < len(early) < len(page.inner_text(".answer"))
    assert page.inner_text(".cite >> nth=0") == "1"
    assert page.inner_text("#status") == "Answer ready, 2 citations."
    assert page.locator(".source.cited").count() == 2
    assert page.get_attribute(".answer", "aria-busy") is None


def test_an_answer_can_be_stopped(stand_in: StandIn, open_page: OpenPage) -> None:
    stand_in.delay_s = 0.3
    page = open_page(stand_in.url)
    page.wait_for_selector(".welcome h2")
    page.fill("#question", QUESTION)
    page.keyboard.press("Enter")
    page.wait_for_selector(".answer p:not(.waiting)")
    page.keyboard.press("Escape")

    page.wait_for_selector("text=Stopped.")
    assert page.is_visible("#ask-button")


def test_a_cut_answer_says_so_and_offers_another_try(
    stand_in: StandIn, open_page: OpenPage
) -> None:
    stand_in.is_cut = True
    page = open_page(stand_in.url)
    page.wait_for_selector(".welcome h2")
    page.fill("#question", QUESTION)
    page.keyboard.press("Enter")
    page.wait_for_selector(".notice.error")

    assert "language model does not answer" in page.inner_text(".notice.error")
    stand_in.is_cut = False
    page.get_by_role("button", name="Try again").click()
    page.wait_for_selector(".feedback")
    assert page.locator(".turn").count() == 1


def test_a_second_question_carries_the_conversation(stand_in: StandIn, open_page: OpenPage) -> None:
    page = open_page(stand_in.url)
    page.wait_for_selector(".welcome h2")
    ask(page)
    page.fill("#question", "And who signs?")
    page.keyboard.press("Enter")
    page.wait_for_selector(".turn >> nth=1 >> .feedback")

    first, second = stand_in.said
    assert first["history"] == []
    assert [each["role"] for each in second["history"]] == ["user", "assistant"]
    assert second["history"][0]["content"] == QUESTION


def test_what_people_say_names_the_right_passage(stand_in: StandIn, open_page: OpenPage) -> None:
    page = open_page(stand_in.url)
    page.wait_for_selector(".welcome h2")
    ask(page)
    page.click("text=Not helpful")
    page.fill(".opinion textarea", "It is the third one.")
    page.select_option(".opinion select", "3")
    page.click("text=Send")
    page.wait_for_selector("text=Thank you")

    assert stand_in.said[-1] == {
        "query_id": "q", "thumb": "down", "comment": "It is the third one.",
        "document": hit(3)["uri"], "ordinal": 3,
    }  # fmt: skip


def test_markup_in_documents_is_text(stand_in: StandIn, open_page: OpenPage) -> None:
    stand_in.documents = [
        document(1, "failed", document=NASTY, title=NASTY, failure={**FAILURE, "reason": NASTY})
    ]
    stand_in.hits = [hit(1, title=NASTY, document=NASTY, text=NASTY, heading=NASTY)]
    stand_in.answer = f"{NASTY} [1]"
    stand_in.passage |= {"passage": NASTY, "before": NASTY, "title": NASTY, "headings": [NASTY],
                         "has_pages": False}  # fmt: skip
    page = open_page(stand_in.url)
    page.wait_for_selector(".welcome h2")
    ask(page)
    page.click(".cite >> nth=0")
    page.wait_for_selector("#passage mark")
    shown = [page.inner_text("#passage mark"), page.inner_text(".answer")]
    page.keyboard.press("Escape")
    page.click("text=Documents")
    page.wait_for_selector("table.list")

    assert all("<script>" in text for text in shown)
    assert NASTY in page.inner_text("table.list")
    assert page.locator("img:not(.brand img)").count() == 0
    assert page.locator("script").count() == 1
    assert "owned" not in page.title()


def test_a_key_is_asked_for_and_kept_in_the_tab_only(
    stand_in: StandIn, open_page: OpenPage
) -> None:
    stand_in.key = "rag_1.secret"
    page = open_page(stand_in.url)
    page.wait_for_selector("#key[open]")
    page.fill("#key-input", "rag_1.wrong")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=That key does not open this service.")
    page.fill("#key-input", stand_in.key)
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Ask acme/handbook")

    assert page.evaluate("sessionStorage.getItem('rag-api-key')") == stand_in.key
    assert stand_in.key not in page.evaluate("JSON.stringify(localStorage)")
    assert page.evaluate("document.cookie") == ""


def test_nothing_there_yet_says_what_to_do(open_page: OpenPage) -> None:
    with served(StandIn()) as empty:
        page = open_page(empty.url)
        page.wait_for_selector("text=Nothing to ask yet")
        assert faults(page) == []
        page.get_by_role("link", name="Add files").click()
        page.wait_for_selector("text=No collection yet")
        assert faults(page) == []


def test_a_service_that_is_away_is_said_and_tried_again(
    stand_in: StandIn, open_page: OpenPage
) -> None:
    page = open_page(stand_in.url)
    page.wait_for_selector(".welcome h2")
    page.route("**/collections", lambda route: route.abort())
    page.reload()
    page.wait_for_selector(".notice.error")
    assert "is it running" in page.inner_text("#banner")

    page.unroute("**/collections")
    page.get_by_role("button", name="Try again").click()
    page.wait_for_selector("text=Ask acme/handbook")
    assert page.is_hidden("#banner")


def test_a_name_that_is_taken_can_be_replaced(stand_in: StandIn, open_page: OpenPage) -> None:
    stand_in.uploads.append("rope.txt")
    page = open_page(f"{stand_in.url}/#/documents")
    page.wait_for_selector("table.list")
    page.set_input_files(
        "#upload-files", [{"name": "rope.txt", "mimeType": "text/plain", "buffer": b"A rope."}]
    )
    page.click("text=Replace it")
    page.wait_for_selector("#uploads .good")

    assert stand_in.uploads == ["rope.txt", "rope.txt"]


def test_a_dropped_file_is_sent(stand_in: StandIn, open_page: OpenPage) -> None:
    page = open_page(f"{stand_in.url}/#/documents")
    page.wait_for_selector("table.list")
    page.evaluate(
        """() => {
        const data = new DataTransfer();
        data.items.add(new File(['A rope.'], 'dropped.txt'));
        document.body.dispatchEvent(
            new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true }));
    }"""
    )
    page.wait_for_selector("#uploads .good")

    assert stand_in.uploads == ["dropped.txt"]


def test_a_failure_can_be_retried(stand_in: StandIn, open_page: OpenPage) -> None:
    page = open_page(f"{stand_in.url}/#/documents")
    page.click('[aria-label="Retry bulletin-25.pdf"]')
    page.wait_for_selector("text=Tried again soon")

    assert stand_in.said == [{"collection": "acme/handbook", "document_id": 25}]


def test_more_documents_that_do_not_come_are_said_and_tried_again(
    stand_in: StandIn, open_page: OpenPage
) -> None:
    stand_in.next = 26
    page = open_page(f"{stand_in.url}/#/documents")
    page.wait_for_selector("table.list")
    page.route("**/documents?*after=26*", lambda route: route.abort())
    page.click("#more-documents")
    page.wait_for_selector("#documents .notice.error")
    assert "is it running" in page.inner_text("#documents .notice.error")
    assert page.locator("table.list tbody tr").count() == 4

    page.unroute("**/documents?*after=26*")
    stand_in.next = None
    page.get_by_role("button", name="Try again").click()
    page.wait_for_selector("table.list tbody tr >> nth=7")
    assert page.locator("#documents .notice").count() == 0
    assert page.is_hidden("#more-documents")


def test_the_keyboard_reaches_everything(stand_in: StandIn, open_page: OpenPage) -> None:
    page = open_page(stand_in.url)
    page.wait_for_selector(".welcome h2")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("2")
    page.wait_for_selector("#view-documents:not([hidden])")
    page.keyboard.press("/")
    page.wait_for_selector("#view-ask:not([hidden])")
    page.wait_for_function("document.activeElement.id === 'question'")
    page.keyboard.type("1/2?")  # in a field, keys are text
    assert page.input_value("#question") == "1/2?"
    page.keyboard.press("Enter")
    page.wait_for_selector(".feedback")
    page.focus(".cite >> nth=0")
    page.keyboard.press("Enter")
    page.wait_for_selector("#passage .sheet")
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.className") == "cite"


def test_single_keys_can_be_switched_off(stand_in: StandIn, open_page: OpenPage) -> None:
    page = open_page(stand_in.url)
    page.wait_for_selector(".welcome h2")
    page.keyboard.press("?")
    page.uncheck("#shortcuts-on")
    page.keyboard.press("Escape")
    page.keyboard.press("3")
    assert page.is_visible("#view-ask")


def test_nothing_moves_for_those_who_want_it_so(stand_in: StandIn, open_page: OpenPage) -> None:
    stand_in.delay_s = 0.3
    page = open_page(stand_in.url, reduced_motion="reduce")
    page.wait_for_selector(".welcome h2")
    page.evaluate(
        "() => { Element.prototype.scrollIntoView = (how) => { window.scrolled = how.behavior; }; }"
    )
    page.fill("#question", QUESTION)
    page.keyboard.press("Enter")
    page.wait_for_selector(".answer")

    assert page.evaluate("window.scrolled") == "auto"
    names = "[...document.querySelectorAll('*')].map((e) => getComputedStyle(e).animationName)"
    assert set(page.evaluate(names)) == {"none"}


def test_the_page_asks_nobody_else_and_its_policy_forbids_it(
    stand_in: StandIn, open_page: OpenPage
) -> None:
    page = open_page("about:blank", is_watched=False)  # what is refused is in the console
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    answer = page.goto(stand_in.url)
    page.wait_for_selector(".welcome h2")

    assert len(asked) > 5 and all(url.startswith(stand_in.url) for url in asked)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert page.evaluate("fetch('https://example.com').then(() => 'sent', () => 'refused')") == (
        "refused"
    )


def test_the_page_is_small() -> None:
    sizes = {name: len(page_routes._content(name)) for name in page_routes.FILES}
    pages = {name: size for name, size in sizes.items() if not name.endswith(".svg")}

    assert min(pages.values()) > 500
    assert sum(pages.values()) < 61_000
