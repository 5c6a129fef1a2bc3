"""PyTorch's times for the workloads of the kit: `peers.py FILE` writes lines "NAME MILLISECONDS". Without torch or a GPU it says so."""

import sys

try:
    import torch
    import torch.nn.functional as F
    from torch.nn.attention import SDPBackend, sdpa_kernel
except ImportError as error:
    print(f"no PyTorch: {error}")
    sys.exit(0)
if not torch.cuda.is_available():
    print("PyTorch sees no GPU")
    sys.exit(0)

out = open(sys.argv[1], "w")
bf16, f16, f32 = torch.bfloat16, torch.float16, torch.float32


def random(*shape, dtype=f32, scale=1.0):
    return (torch.randn(*shape, device="cuda", dtype=f32) * scale).to(dtype)


def milliseconds(call):
    """The best of several rounds of about 100 ms, by the GPU's clock."""

    def clock(count):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        for _ in range(count):
            call()
        end.record()
        torch.cuda.synchronize()
        return start.elapsed_time(end) / count

    for _ in range(3):
        call()
    count = min(1000, int(100 / max(clock(3), 1e-3)) + 1)
    return min(clock(count) for _ in range(5))


def report(name, *calls):
    """Writes the time of the fastest way."""
    times = []
    for call in calls:
        try:
            times.append(milliseconds(call))
        except Exception as error:  # a way that this GPU or version lacks
            print(f"{name}: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")
    if times:
        out.write(f"{name} {min(times):.5f}\n")
        out.flush()
    torch.cuda.empty_cache()


def product(name, m, n, k, dtype):
    a, b = random(m, k, dtype=dtype), random(k, n, dtype=dtype)
    report(name, lambda: a @ b)


product("gemm_bf16_4096", 4096, 4096, 4096, bf16)
product("gemm_bf16_8192", 8192, 8192, 8192, bf16)
product("gemm_f16_4096", 4096, 4096, 4096, f16)
product("gemm_f32_4096", 4096, 4096, 4096, f32)
product("gemm_bf16_16x8192x8192", 16, 8192, 8192, bf16)


def with_and_without(name, function, *arguments):
    compiled = torch.compile(function)
    report(name, lambda: function(*arguments), lambda: compiled(*arguments))


x, y, w, b = random(8192, 8192), random(8192, 8192), random(8192), random(8192)
with_and_without("add_f32_8192", lambda x, y: x + y, x, y)
with_and_without("chain_f32_8192", lambda x, y: (x * y + x).tanh() * y.sigmoid() - x.exp().clamp(max=3), x, y)
with_and_without("sum_rows_f32_8192", lambda x: x.sum(1), x)
with_and_without("sum_columns_f32_8192", lambda x: x.sum(0), x)
with_and_without("softmax_f32_8192", lambda x: x.softmax(1), x)
with_and_without("layernorm_f32_8192", lambda x, w, b: F.layer_norm(x, (8192,), w, b), x, w, b)
with_and_without("transpose_f32_8192", lambda x: x.t().contiguous(), x)
del x, y

for causal in (False, True):
    q, k, v = (random(1, 16, 8192, 128, dtype=bf16) for _ in range(3))

    def backend(which):
        def call():
            with sdpa_kernel(which):
                return F.scaled_dot_product_attention(q, k, v, is_causal=causal)

        return call

    ways = (SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.CUDNN_ATTENTION)
    report("attention_bf16_16x8192x128" + ("_causal" if causal else ""), *(backend(way) for way in ways))

x, w, b = random(4096, 4096, dtype=bf16), random(16384, 4096, dtype=bf16, scale=0.0156), random(16384, dtype=bf16)
with_and_without("linear_gelu_bf16_4096", lambda x, w, b: F.gelu(F.linear(x, w, b)), x, w, b)
x, w = random(32, 128, 56, 56, dtype=bf16), random(128, 128, 3, 3, dtype=bf16)
torch.backends.cudnn.benchmark = True
report("conv3x3_bf16_32x128x56", lambda: F.conv2d(x, w, padding=1))
del x, w, b


class GPT(torch.nn.Module):
    """The model of GPTStep.swift."""

    batch, tokens, width, heads, layers, vocabulary = 8, 512, 512, 8, 4, 8192

    def __init__(self):
        super().__init__()
        n, w = torch.nn, self.width
        self.embed, self.position = n.Embedding(self.vocabulary, w), n.Parameter(torch.randn(self.tokens, w) * 0.04)
        self.blocks = n.ModuleList(
            n.ModuleList([n.LayerNorm(w), n.Linear(w, 3 * w), n.Linear(w, w), n.LayerNorm(w), n.Linear(w, 4 * w), n.Linear(4 * w, w)])
            for _ in range(self.layers)
        )
        self.norm, self.head = n.LayerNorm(w), n.Linear(w, self.vocabulary, bias=False)

    def forward(self, tokens, targets):
        h = self.embed(tokens) + self.position
        for norm1, mix, merge, norm2, wide, narrow in self.blocks:
            parts = mix(norm1(h)).view(self.batch, self.tokens, 3, self.heads, self.width // self.heads).permute(2, 0, 3, 1, 4)
            attended = F.scaled_dot_product_attention(parts[0], parts[1], parts[2], is_causal=True)
            h = h + merge(attended.transpose(1, 2).reshape(self.batch, self.tokens, self.width))
            h = h + narrow(F.gelu(wide(norm2(h))))
        return F.cross_entropy(self.head(self.norm(h)).flatten(0, 1), targets.flatten())


def training(mode):
    model = GPT().cuda().to(bf16)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, fused=True)
    tokens, targets = (torch.randint(0, GPT.vocabulary, (GPT.batch, GPT.tokens), device="cuda") for _ in range(2))
    compiled = torch.compile(model, mode=mode)

    def step():
        optimizer.zero_grad()
        compiled(tokens, targets).backward()
        optimizer.step()

    return step


report("train_gpt_bf16", training("default"), training("reduce-overhead"))
