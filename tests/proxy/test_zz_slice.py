import json
from pathlib import Path
from tests.serving import *
async def test_slice(tmp_path: Path) -> None:
    async with serving(tmp_path) as proxy:
        c = proxy.client()
        lines = [json.dumps({"custom_id": f"l{i}", "method": "POST", "url": "/v1/chat/completions", "body": asking()}) for i in range(50)]
        f = await c.files.create(file=("x.jsonl", "\n".join(lines).encode()), purpose="batch")
        print(f)
        b = await c.batches.create(input_file_id=f.id, endpoint="/v1/chat/completions", completion_window="24h")
        t=time.time()
        while b.status not in ("completed","failed"):
            b = await c.batches.retrieve(b.id)
            await asyncio.sleep(0.02)
            assert time.time()-t<8, b
        print(b, time.time()-t)
        out = await c.files.content(b.output_file_id)
        print(out.text[:600], len(out.text.splitlines()))
