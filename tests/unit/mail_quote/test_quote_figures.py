"""How much of the new text is kept and how much of the old is left in, over programs, languages and layouts.

`pytest -s` prints the table. Recall: mails of whose new words none is lost. Precision: mails in whose new
text no quoted word is left.
"""

from collections.abc import Callable
from dataclasses import dataclass

from postroom.mail import quote
from tests.unit.mail_quote.reading import CORPUS, Language, language, squeezed

FORMS = [language(path) for path in sorted((CORPUS / "languages").glob("*.txt"))]
CANARY = "kept-apart-4711"


@dataclass(slots=True)
class Score:
    mails: int = 0
    kept: int = 0
    clean: int = 0


def quoted(forms: Language, mark: str = "> ") -> str:
    return f"{mark}{forms.quoted}\n{mark}\n{mark}{CANARY}"


LAYOUTS: dict[str, Callable[[Language, str], str]] = {
    "above": lambda forms, line: f"{forms.reply}\n\n{line}\n\n{quoted(forms)}\n",
    "above, unmarked": lambda forms, line: f"{forms.reply}\n\n{line}\n\n{quoted(forms, '')}\n",
    "above, nested": lambda forms, line: f"{forms.reply}\n\n{line}\n> {line}\n{quoted(forms, '>> ')}\n",
    "below": lambda forms, line: f"{line}\n{quoted(forms)}\n\n{forms.reply}\n",
    "around": lambda forms, line: f"Hi\n\n{line}\n{quoted(forms)}\n\n{forms.reply}\n",
    "signed": lambda forms, line: f"{forms.reply}\n\n-- \nX Y\n\n{line}\n{quoted(forms)}\n",
    "on a phone": lambda forms, line: f"{forms.reply}\n\n{_phone(forms)}\n\n{line}\n{quoted(forms)}\n",
}


def _phone(forms: Language) -> str:
    return forms.phones[0] if forms.phones else "Sent from my iPhone"


def test_every_new_word_is_kept_and_no_old_one_is_left() -> None:
    scores = {name: Score() for name in LAYOUTS}
    for forms in FORMS:
        for line in (*forms.attributions, *_blocks(forms)):
            for name, lay_out in LAYOUTS.items():
                if name in ("below", "around") and line not in forms.attributions:
                    continue
                _count(scores[name], quote.split(lay_out(forms, line)).new_text, forms)
    print(f"\n{'layout':16} {'mails':>6} {'recall':>8} {'precision':>10}")
    for name, score in scores.items():
        print(f"{name:16} {score.mails:6} {score.kept / score.mails:8.1%} {score.clean / score.mails:10.1%}")
        assert score.mails == score.kept == score.clean > 100


def _blocks(forms: Language) -> list[str]:
    introduced = (*forms.originals, *forms.forwards)
    return [f"{line}\n{forms.headers}" for line in ("", *introduced)] if forms.headers else []


def _count(score: Score, new_text: str, forms: Language) -> None:
    score.mails += 1
    score.kept += squeezed(forms.reply) in squeezed(new_text)
    score.clean += CANARY not in new_text and squeezed(forms.quoted) not in squeezed(new_text)
