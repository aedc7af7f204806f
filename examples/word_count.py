"""The smallest agent: answers every mail with the number of its words.

Run it with ENABLED_CLIENTS=email and the EMAIL_* variables set:  python examples/word_count.py
"""

from postroom import Answer, Postroom, Turn

app = Postroom.from_environment()


@app.agent
async def answer(turn: Turn) -> Answer:
    return Answer(f"You wrote {len(turn.message.text.split())} words.")


if __name__ == "__main__":
    app.run()
