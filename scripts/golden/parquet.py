# Small Parquet files as pyarrow writes them, in every packing and page version, and their rows as JSON. Needs pyarrow.
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

OUT = Path(__file__).resolve().parents[2] / "src/testing/golden/parquet"
WORDS = "the cat sat on a mat and Über die Brücke went 日本語 text 🐈 then again".split()


def words(i, n):
    return " ".join(WORDS[(i * 7 + k * k) % len(WORDS)] for k in range(n))


def pairs(n=40):
    return [{"id": i, "score": i / 8, "prompt": words(i, 3 + i % 9), "completion": words(i + 1, 1 + i % 4)} for i in range(n)]


def chats(n=40):
    def chat(i):
        turns = [{"role": "user", "content": words(i, 4)}, {"role": "assistant", "content": words(i, 3)}]
        return ([{"role": "system", "content": "Be brief."}] if i % 3 == 0 else []) + turns * (1 + i % 3)

    return [{"messages": chat(i), "source": None if i % 4 else f"s{i % 2}"} for i in range(n)]


def tokens(n=40):
    return [{"input_ids": [(i * 3 + k) % 300 for k in range(2 + i % 20)], "labels": [-100] + [(i * 3 + k) % 300 for k in range(1, 2 + i % 20)]} for i in range(n)]


def choices(n=12):
    return [{"question": words(i, 6) + "?", "choices": [words(i + c, 2) + f" {c}" for c in range(4)], "answer": i % 4} for i in range(n)]


def texts(n=40):
    return [{"text": None if i == 7 else words(i, 5 + i)} for i in range(n)]


def numbered(n=40):
    return [{"text": None if 20 <= i < 32 else f"the same beginning of every text, then {words(i // 4, 3)} {i}"} for i in range(n)]


def write(name, rows, **options):
    table = pa.Table.from_pylist(rows)
    settings = {"row_group_size": 16, "data_page_size": 200, "write_batch_size": 4, "write_statistics": False, "store_schema": False} | options
    pq.write_table(table, OUT / f"{name}.parquet", **settings)
    return rows


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    golden = {f"pairs-{c}": write(f"pairs-{c}", pairs(), compression=c) for c in ["none", "snappy", "gzip", "zstd", "brotli", "lz4"]}
    golden["chat-v1"] = write("chat-v1", chats(), compression="snappy")
    golden["chat-v2"] = write("chat-v2", chats(), compression="zstd", data_page_version="2.0")
    delta = {"input_ids.list.element": "DELTA_BINARY_PACKED", "labels.list.element": "DELTA_BINARY_PACKED"}
    golden["tokens-delta"] = write("tokens-delta", tokens(), use_dictionary=False, column_encoding=delta)
    golden["tokens-dictionary"] = write("tokens-dictionary", tokens(), data_page_version="2.0", compression="none")
    golden["choices"] = write("choices", choices())
    golden["text-delta"] = write("text-delta", texts(), use_dictionary=False, column_encoding={"text": "DELTA_LENGTH_BYTE_ARRAY"})
    # Each text as what it shares with the one before and the rest: what parquet-java and parquet-rs write in version 2.
    shared = {"use_dictionary": False, "column_encoding": {"text": "DELTA_BYTE_ARRAY"}}
    golden["text-shared-v1"] = write("text-shared-v1", texts(), **shared)
    golden["text-shared-v2"] = write("text-shared-v2", numbered(), compression="none", data_page_version="2.0", **shared)
    golden["text-plain"] = write("text-plain", texts(), use_dictionary=False, compression="none", data_page_version="2.0")
    (OUT / "golden.json").write_text(json.dumps(golden, ensure_ascii=False, separators=(",", ":")) + "\n")
    print(*sorted(f"{p.name} {p.stat().st_size}" for p in OUT.iterdir()), sep="\n")
