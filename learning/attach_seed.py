"""The first two learned answers of an attached project, and the rule that gives all of them.

Rasa knows the intent `learned` as one with many answers only if it has examples, and a selector of answers is trained
from two on. What they say is true of every assistant that this loop runs behind. Their examples are no questions: where
a project has few questions of its own, a classifier would take whatever begins with "do you" for these.
"""

from __future__ import annotations

from learning.model import LEARNED_INTENT

Seed = tuple[str, tuple[str, ...], str]

ENGLISH = "en"
SEEDS: dict[str, tuple[Seed, Seed]] = {
    "en": (
        (
            "about_learning",
            (
                "learning from chats",
                "self learning bot",
                "bot training",
                "answers checked by people",
            ),
            "I do, but not by myself: a person approves every new answer before I use it.",
        ),
        (
            "about_mistakes",
            (
                "mistakes of the bot",
                "wrong answers",
                "answer corrections",
                "corrected by people",
            ),
            "What I could not answer is read by a person, and I learn the answer once it is approved.",
        ),
    ),
    "de": (
        (
            "about_learning",
            (
                "lernen aus gesprächen",
                "selbstlernender bot",
                "training des bots",
                "von menschen geprüfte antworten",
            ),
            "Ja, aber nicht von allein: Jede neue Antwort gibt ein Mensch frei, bevor ich sie benutze.",
        ),
        (
            "about_mistakes",
            (
                "fehler des bots",
                "falsche antworten",
                "berichtigte antworten",
                "korrektur durch menschen",
            ),
            "Was ich nicht beantworten konnte, liest ein Mensch; ist die Antwort freigegeben, kenne ich sie.",
        ),
    ),
    "es": (
        (
            "about_learning",
            (
                "aprendizaje de conversaciones",
                "bot que aprende",
                "entrenamiento del bot",
                "respuestas revisadas por personas",
            ),
            "Sí, pero no por mi cuenta: una persona aprueba cada respuesta nueva antes de que yo la use.",
        ),
        (
            "about_mistakes",
            (
                "errores del bot",
                "respuestas equivocadas",
                "respuestas corregidas",
                "correcciones por personas",
            ),
            "Lo que no supe contestar lo lee una persona, y aprendo la respuesta cuando está aprobada.",
        ),
    ),
    "fr": (
        (
            "about_learning",
            (
                "apprentissage par conversations",
                "robot qui apprend",
                "entraînement du robot",
                "réponses vérifiées par des personnes",
            ),
            "Oui, mais pas seul : une personne approuve chaque nouvelle réponse avant que je l'utilise.",
        ),
        (
            "about_mistakes",
            (
                "erreurs du robot",
                "mauvaises réponses",
                "réponses corrigées",
                "corrections par des personnes",
            ),
            "Ce que je n'ai pas su dire est lu par une personne, et j'apprends la réponse une fois approuvée.",
        ),
    ),
    "pt": (
        (
            "about_learning",
            (
                "aprendizado com conversas",
                "robô que aprende",
                "treinamento do robô",
                "respostas conferidas por pessoas",
            ),
            "Sim, mas não sozinho: uma pessoa aprova cada resposta nova antes de eu usá-la.",
        ),
        (
            "about_mistakes",
            (
                "erros do robô",
                "respostas erradas",
                "respostas corrigidas",
                "correções por pessoas",
            ),
            "O que eu não soube responder é lido por uma pessoa, e aprendo a resposta quando for aprovada.",
        ),
    ),
}
# What projects write where they mean one of these.
SPELLINGS = {"br": "pt", "pt-br": "pt", "pt_br": "pt", "english": "en", "german": "de", "spanish": "es", "french": "fr"}


def language_of(written: str) -> str:
    """Return the code of a language as a `config.yml` writes it."""
    name = written.strip().lower()
    return SPELLINGS.get(name, name.replace("_", "-").split("-")[0])


def seed_file(language: str) -> str:
    """Return the file with the first learned answers, in English where there are none in the language."""
    lines = [
        "# The first answers under the intent `learned`, and the rule that gives all of them. Say it as your assistant",
        "# would. What is approved later is written beside this file, one file each; this one is never touched.",
        'version: "3.1"',
        "",
        "nlu:",
    ]
    seeds = SEEDS.get(language, SEEDS[ENGLISH])
    for name, examples, _ in seeds:
        lines += [f"- intent: {LEARNED_INTENT}/{name}", "  examples: |", *(f"    - {text}" for text in examples), ""]
    lines.append("responses:")
    for name, _, answer in seeds:
        lines += [f"  utter_{LEARNED_INTENT}/{name}:", f'  - text: "{answer}"']
    rule = ["", "rules:", "- rule: learned, answer", "  steps:"]
    return "\n".join([*lines, *rule, f"  - intent: {LEARNED_INTENT}", f"  - action: utter_{LEARNED_INTENT}", ""])
