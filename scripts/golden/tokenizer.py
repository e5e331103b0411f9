"""Makes src/testing/golden/tokenizer: a tiny byte-level BPE tokenizer, and what transformers makes of chats with three templates.

python tokenizer.py
"""

import json
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

OUT = Path(__file__).resolve().parents[2] / "src/testing/golden/tokenizer"

TEXT = """The cat sat on the mat and looked at the rain. A small dog ran over the hill to see the cat.
What is the capital of the little land? The answer is a town by the sea. User and assistant speak in turns.
You are a helpful assistant. One two three four five; 1 2 3 4 5. Über die Brücke, çà et là, naïve café.
""".splitlines()

TEMPLATES = {
    # A default system message, newline after the end-of-turn token.
    "chatml": """{%- if messages[0]['role'] != 'system' %}
{{- '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}
{%- endif %}
{% for message in messages %}
    {{- '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
{%- endif %}""",
    # One token <|end|> after answers, trimmed content, the beginning-of-text token, a refusal.
    "strict": "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'].strip() + ' [/INST]' }}"
    "{% elif message['role'] == 'assistant' %}{{ ' ' + message['content'] | trim + ' ' + eos_token }}"
    "{% else %}{{ raise_exception('Only user and assistant, not ' ~ message['role']) }}{% endif %}{% endfor %}",
    # The last answer is rendered otherwise than earlier ones.
    "thinking": """{%- set ns = namespace(last=messages|length - 1) %}
{%- for message in messages %}
    {%- if message.role == 'assistant' and loop.index0 == ns.last %}
        {{- '<|im_start|>assistant\n<think>\n\n</think>\n\n' + message.content.lstrip('\n') + '<|im_end|>\n' }}
    {%- else %}
        {{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}""",
}

CHATS = [
    [{"role": "user", "content": "What is the cat?"}, {"role": "assistant", "content": "The answer."}],
    [{"role": "user", "content": " Spaces  and\nlines "}, {"role": "assistant", "content": "\nçà et là ☂ 🐈"}],
    [
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "two"},
        {"role": "user", "content": "three <|im_end|>"},
        {"role": "assistant", "content": "four five"},
    ],
    [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "Über?"},
        {"role": "assistant", "content": "1 2 3"},
    ],
]

PLAIN = ["The cat", "", " leading", "Über die Brücke\r\n\tnaïve 🐈 1234567 don't <|im_end|>x", "日本語 text", "a \ufeffb \x85\x85 c\t\u3000 d"]


def train():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|bos|>", "<|end|>", "<|im_start|>", "<|im_end|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=340, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(TEXT, trainer)
    tokenizer.add_tokens([AddedToken("<think>", normalized=False, special=False), AddedToken("</think>", normalized=False, special=False)])
    tokenizer.post_processor = processors.TemplateProcessing(single="<|bos|> $A", special_tokens=[("<|bos|>", 0)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<|bos|>", eos_token="<|end|>")


def common(a, b):
    n = 0
    while n < min(len(a), len(b)) and a[n] == b[n]:
        n += 1
    return n


def chat(tokenizer, template, messages):
    def render(chats, prompt):
        text = tokenizer.apply_chat_template(chats, chat_template=template, tokenize=False, add_generation_prompt=prompt)
        ids = tokenizer.apply_chat_template(chats, chat_template=template, add_generation_prompt=prompt, return_dict=False)
        return text, ids

    try:
        text, ids = render(messages, False)
    except Exception as e:  # the template's refusal
        return {"messages": messages, "error": str(e)}
    before_text, before = render(messages[:-1], True)
    start = common(before, ids)
    ends = [t for t, i in enumerate(ids) if t >= start and i in tokenizer.convert_tokens_to_ids(["<|end|>", "<|im_end|>"])]
    return {"messages": messages, "text": text, "ids": ids, "promptText": before_text, "promptIds": before, "answerIds": ids[start : ends[-1] + 1]}


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    tokenizer = train()
    tokenizer.save_pretrained(OUT)
    golden = {
        "plain": [
            {
                "text": t,
                "ids": tokenizer.encode(t, add_special_tokens=False),
                "document": tokenizer.encode(t),
                "decoded": tokenizer.decode(tokenizer.encode(t)),
                "skipped": tokenizer.decode(tokenizer.encode(t), skip_special_tokens=True),
            }
            for t in PLAIN
        ],
        "templates": {name: {"template": t, "chats": [chat(tokenizer, t, c) for c in CHATS]} for name, t in TEMPLATES.items()},
    }
    (OUT / "golden.json").write_text(json.dumps(golden, ensure_ascii=False, separators=(",", ":")) + "\n")
    print(f"{OUT.name}: {len(tokenizer)} tokens")
