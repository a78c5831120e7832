"""How transformers renders a chat: its own code (utils/chat_template_utils.py), at a given time."""
import datetime
import json
import os
import time

os.environ["TZ"] = "UTC"
time.tzset()

from transformers.utils import chat_template_utils  # noqa: E402


def clock(epoch):
    """From now on it is `epoch`, in UTC."""
    when = datetime.datetime.fromtimestamp(epoch)

    class Clock(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(*when.timetuple()[:6])

    chat_template_utils.datetime = Clock


def render(template, chat, bos, eos):
    """{"expected": text}, or {"expected": None, "error": why it is refused}"""
    chat = json.loads(json.dumps(chat))
    variables = dict({"bos_token": bos, "eos_token": eos}, **chat.get("chat_template_kwargs", {}))
    try:
        texts, _ = chat_template_utils.render_jinja_template(
            conversations=[chat["messages"]], tools=chat.get("tools"), documents=chat.get("documents"),
            chat_template=template, add_generation_prompt=False, **variables)
        return {"expected": texts[0]}
    except Exception as e:  # whatever a template can raise
        return {"expected": None, "error": f"{type(e).__name__}: {e}"[:200]}
