import json, os
from pathlib import Path
from tests.serving import *
EP="endpoints: [chat/completions, files, batches]"
N=int(os.environ.get("N","50"))
async def test_slice(tmp_path: Path) -> None:
  for provider, offers in (("", {}), (f", {EP}", {"a": offer("a", price="{input: 1, output: 2, batch: {input: 0.5, output: 1}}")})):
   d=tmp_path/(provider[:5].strip(", ") or "x"); d.mkdir()
   async with serving(d, provider=provider, offers=offers) as proxy:
        c = proxy.client()
        lines = [json.dumps({"custom_id": f"l{i}", "method": "POST", "url": "/v1/chat/completions", "body": asking()}) for i in range(N)]
        f = await c.files.create(file=("x.jsonl", "\n".join(lines).encode()), purpose="batch")
        t=time.time()
        b = await c.batches.create(input_file_id=f.id, endpoint="/v1/chat/completions", completion_window="24h")
        while b.status not in ("completed","failed"):
            b = await c.batches.retrieve(b.id)
            await asyncio.sleep(0.02)
            assert time.time()-t<28, b
        print(b, time.time()-t)
        out = await c.files.content(b.output_file_id)
        print(out.text[:900], len(out.text.splitlines()))
        for s in (await proxy.charges())[:2]: print(s)
