"""Towers of timm, open_clip, transformers and torchvision with random weights, in their own files, and what the libraries make of pictures.

    python3 make_fixtures.py FOLDER [NAME ...]         tiny ones, committed under tests/pretrained/fixtures
    python3 make_fixtures.py FOLDER --full [NAME ...]  of full size

Each FOLDER/NAME holds the weights under the library's own names and format, its configuration, and expected.safetensors: for each size S
of pictures "class_S" (N, D), the normalised class token, "patches_S" (N, P, D), the normalised patches, and with a projection
"embedding_S"; for the first size "lora_a", "lora_b" and their gradients, by adapters of rank 2 on q and v of every block, of
<class, direction>. Pictures are picture() below, in C test_pretrained.c has the same.
Needs torch, torchvision, timm, open_clip_torch, transformers of 2025 or later. round_trips.py and peft_trips.py make their towers by these functions.
"""
import json, math, os, sys
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

COUNT = 2


def picture(size):
    n, c, y, x = torch.meshgrid(*(torch.arange(k, dtype=torch.int64) for k in (COUNT, 3, size, size)), indexing="ij")
    v = (n * 15485863 + c * 7919 + y * 104729 + x * 1299709 + y * x * 31) % 1009
    return (v.double() / 1009 * 4 - 2).float()


def randomise(module, seed):
    """Weights that no layer hides: norms near 1, everything else of some size, positions larger."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in module.named_parameters():
            noise = torch.randn(p.shape, generator=g)
            last = name.split(".")[-1]
            if p.ndim == 1 and ("norm" in name or "ln_" in name or ".ln." in name or "layrnorm" in name) and last == "weight":
                p.copy_(1 + 0.2 * noise)
            elif "gamma" in last or "lambda" in last:
                p.copy_(0.5 + 0.2 * noise)
            elif p.ndim <= 1:
                p.copy_(0.1 * noise)
            elif "pos" in name or "token" in name or "class_embedding" in name:
                p.copy_(0.5 * noise)
            else:
                p.copy_(noise / math.sqrt(p[0].numel()))


def adapters(weights, width, run, rank=2, scale=2.0):
    """Gradients of adapters on queries and values. weights[i] = ((module, attribute, first row) of q, the same of v) of block i."""
    g = torch.Generator().manual_seed(99)
    a = (torch.randn(len(weights), 2, rank, width, generator=g) / math.sqrt(width)).requires_grad_()
    b = (torch.randn(len(weights), 2, width, rank, generator=g) * 0.1).requires_grad_()
    kept = {}
    for i, block in enumerate(weights):
        for k, (owner, attribute, first) in enumerate(block):
            key = (id(owner), attribute)
            if key not in kept:
                kept[key] = (owner, attribute, owner._parameters.pop(attribute))
                owner.__dict__[attribute] = kept[key][2].detach()
            w = owner.__dict__[attribute]
            owner.__dict__[attribute] = torch.cat([w[:first], w[first:first + width] + scale * b[i, k] @ a[i, k], w[first + width:]])
    out = run()
    direction = torch.randn(out.shape, generator=g)
    (out * direction).sum().backward()
    for owner, attribute, parameter in kept.values():
        del owner.__dict__[attribute]
        owner._parameters[attribute] = parameter
    return {"lora_a": a.detach(), "lora_b": b.detach(), "direction": direction, "lora_class": out.detach(), "lora_da": a.grad, "lora_db": b.grad}


class Fixture:
    """One folder, and the library's model that it was made of.

    weights: the file, saved: its tensors by the library's names. again() is another model of the same architecture, run(model) its (class, patches,
    embedding or None) of pictures of the first size. model is None for the hub, whose code is no package of this environment."""

    def __init__(self, folder, name, library, weights):
        self.name, self.library, self.folder, self.expected = name, library, os.path.join(folder, name), {}
        os.makedirs(self.folder, exist_ok=True)
        self.weights, self.model, self.saved, self.again, self.run, self.size = self.path(weights), None, None, None, None, 0

    def of(self, model, again, run):
        self.model, self.again, self.run = model, again, run

    def path(self, name):
        return os.path.join(self.folder, name)

    def config(self, name, value):
        with open(self.path(name), "w") as f:
            json.dump(value, f, indent=1)

    def arguments(self, **flags):
        """What import must be told besides."""
        self.config("import.json", flags)

    def features(self, sizes, tokens):
        self.size = sizes[0]
        for size in sizes:
            with torch.no_grad():
                cls, patches, embedding = tokens(size)
            self.expected[f"class_{size}"], self.expected[f"patches_{size}"] = cls, patches
            if embedding is not None:
                self.expected[f"embedding_{size}"] = embedding

    def write(self):
        tensors = {k: v.detach().float().contiguous() for k, v in self.expected.items()}
        save_file(tensors, self.path("expected.safetensors"))


def fused_rows(module, attribute, width):
    return ((module, attribute, 0), (module, attribute, 2 * width))


# ---- timm, and DINOv2's hub by way of it ----

def timm_model(name, size, **sizes):
    import timm
    m = timm.create_model(name, pretrained=False, img_size=size, num_classes=0, **sizes).eval()
    return m


def timm_tokens(m, prefix):
    def tokens(size):
        x = m.forward_features(picture(size))
        return x[:, 0], x[:, prefix:], None
    return tokens


def timm_lora(m, width, size):
    return adapters([fused_rows(b.attn.qkv, "weight", width) for b in m.blocks], width, lambda: m.forward_features(picture(size))[:, 0])


def make_timm(folder, name, arch, sizes, prefix, width, seed, **shape):
    f = Fixture(folder, name, "timm", "model.safetensors")
    m = timm_model(arch, sizes[0], dynamic_img_size=True, **shape)
    randomise(m, seed)
    f.of(m, lambda: timm_model(arch, sizes[0], **shape), lambda model: timm_tokens(model, prefix)(sizes[0]))
    f.saved = m.state_dict()
    save_file(f.saved, f.weights)
    f.config("config.json", {"architecture": arch, "num_features": width,
                             "pretrained_cfg": {"input_size": [3, sizes[0], sizes[0]], "mean": list(m.pretrained_cfg["mean"]), "std": list(m.pretrained_cfg["std"]),
                                                "interpolation": "bicubic", "crop_pct": 1.0}})
    f.arguments(heads=m.blocks[0].attn.num_heads)
    f.features(sizes, timm_tokens(m, prefix))
    f.expected.update(timm_lora(m, width, sizes[0]))
    f.write()
    return f


def hub_names(sd, giant):
    """timm's names of a DINOv2 to those of the hub."""
    out = {}
    for k, v in sd.items():
        if giant:
            k = k.replace("mlp.fc1.", "mlp.w12.").replace("mlp.fc2.", "mlp.w3.")
        out["register_tokens" if k == "reg_token" else k] = v
    return out


def hub_positions(pos, grid, side, registers):
    """interpolate_pos_encoding of DINOv2: without registers by the factor (side + 0.1) / grid, with them antialiased by size."""
    if grid == side:
        return pos
    patches = pos[:, 1:].reshape(1, grid, grid, -1).permute(0, 3, 1, 2)
    if registers:
        patches = F.interpolate(patches, size=(side, side), mode="bicubic", antialias=True)
    else:
        factor = (side + 0.1) / grid
        patches = F.interpolate(patches, scale_factor=(factor, factor), mode="bicubic", antialias=False)
    assert patches.shape[-2:] == (side, side)
    return torch.cat([pos[:, :1], patches.permute(0, 2, 3, 1).reshape(1, side * side, -1)], 1)


def make_hub(folder, name, arch, sizes, registers, width, patch, seed, giant=False, old=False, training=False, **shape):
    f = Fixture(folder, name, "hub", "weights.pth")
    grid = sizes[0] // patch
    m = timm_model(arch, sizes[0], **shape)
    randomise(m, seed)
    sd = {k: v.clone() for k, v in m.state_dict().items()}
    g = torch.Generator().manual_seed(seed + 1)
    first = 0.5 * torch.randn(1, 1, width, generator=g)  # the hub adds it to the class token, timm has added it
    if registers:
        sd["pos_embed"] = torch.cat([first, sd["pos_embed"]], 1)
        sd["cls_token"] = sd["cls_token"] - first
    sd["mask_token"] = torch.zeros(1, width)
    hub = f.saved = hub_names(sd, giant)
    if training:  # as DINOv2's trainer saves a teacher, blocks in chunks of one
        hub = {"model": {"teacher.backbone." + k.replace("blocks.", "blocks." + k.split(".")[1] + ".", 1) if k.startswith("blocks.") else "teacher.backbone." + k: v
                         for k, v in hub.items()}, "iteration": 7}
        hub["model"]["teacher.dino_head.last_layer.weight_g"] = torch.ones(3, 1)
    torch.save(hub, f.weights, _use_new_zipfile_serialization=not old)
    f.arguments(heads=m.blocks[0].attn.num_heads)

    def at(size):
        side = size // patch
        other = timm_model(arch, size, **shape)
        state = {k: v for k, v in sd.items() if k != "mask_token"}
        state["pos_embed"] = hub_positions(sd["pos_embed"], grid, side, registers)
        if registers:
            state["cls_token"] = sd["cls_token"] + state["pos_embed"][:, :1]
            state["pos_embed"] = state["pos_embed"][:, 1:]
        other.load_state_dict(state)
        return other
    f.features(sizes, lambda size: timm_tokens(at(size), 1 + registers)(size))
    f.expected.update(timm_lora(m, width, sizes[0]))
    f.write()
    return f


# ---- transformers ----

def transformers_tokens(m, prefix, interpolates):
    def tokens(size):
        kwargs = {"interpolate_pos_encoding": True} if interpolates else {}
        x = m(picture(size), **kwargs).last_hidden_state
        return x[:, 0], x[:, prefix:], None
    return tokens


def make_transformers(folder, name, kind, sizes, registers, width, seed, interpolates=False, qkv=None, bin_file=False, **config):
    import transformers
    from safetensors.torch import load_file
    f = Fixture(folder, name, "transformers", "pytorch_model.bin" if bin_file else "model.safetensors")
    cfg = getattr(transformers, kind + "Config")(hidden_size=width, image_size=sizes[0], **config)

    def make():
        return getattr(transformers, kind + "Model")(cfg, **({"add_pooling_layer": False} if kind == "ViT" else {})).eval()
    m = make()
    randomise(m, seed)
    f.of(m, make, lambda model: transformers_tokens(model, 1 + registers, interpolates)(sizes[0]))
    m.save_pretrained(f.folder)
    f.saved = load_file(f.path("model.safetensors"))  # published names, which a model in memory need not have
    if bin_file:
        torch.save(f.saved, f.weights)
        os.remove(f.path("model.safetensors"))
    f.features(sizes, transformers_tokens(m, 1 + registers, interpolates))
    blocks = [((q, "weight", 0), (v, "weight", 0)) for q, v in qkv(m)]
    f.expected.update(adapters(blocks, width, lambda: m(picture(sizes[0])).last_hidden_state[:, 0]))
    f.write()
    return f


def blocks_of(m):
    """Query and value of every block, as transformers 4 and 5 call them."""
    owner = m.encoder if hasattr(m, "encoder") else m
    layers = next(getattr(o, n) for o in (owner, getattr(m, "model", m)) for n in ("layer", "layers") if hasattr(o, n))
    attention = [b.attention.attention if hasattr(b.attention, "attention") else b.attention for b in layers]
    return [(a.query, a.value) if hasattr(a, "query") else (a.q_proj, a.v_proj) for a in attention]


def make_transformers_clip(folder, name, size, width, output, seed, act):
    """output 0: CLIPVisionModel, which transformers 5 saves without the prefix vision_model, and loads with or without it."""
    import transformers
    from safetensors.torch import load_file
    f = Fixture(folder, name, "transformers", "model.safetensors")
    cfg = transformers.CLIPVisionConfig(hidden_size=width, intermediate_size=2 * width, projection_dim=output or 512, num_hidden_layers=2, num_attention_heads=3,
                                        image_size=size, patch_size=7, hidden_act=act)

    def make():
        return (transformers.CLIPVisionModelWithProjection if output else transformers.CLIPVisionModel)(cfg).eval()
    m = make()
    randomise(m, seed)
    m.save_pretrained(f.folder)
    f.saved = {k if k.startswith("vis") else "vision_model." + k: v for k, v in load_file(f.weights).items()}

    def tokens(model):
        tower, out = getattr(model, "vision_model", model), model(picture(size))
        n = tower.post_layernorm((tower(picture(size)) if output else out).last_hidden_state)
        return n[:, 0], n[:, 1:], out.image_embeds if output else None
    f.of(m, make, tokens)
    f.features([size], lambda _: tokens(m))
    blocks = [((b.self_attn.q_proj, "weight", 0), (b.self_attn.v_proj, "weight", 0)) for b in getattr(m, "vision_model", m).encoder.layers]
    f.expected.update(adapters(blocks, width, lambda: m(picture(size)).image_embeds if output else m(picture(size)).pooler_output))
    f.write()
    return f


# ---- open_clip, OpenAI ----

def open_clip_tokens(v, size):
    kept = []
    hook = v.transformer.register_forward_hook(lambda _m, _i, o: kept.append(o))
    embedding = v(picture(size))
    hook.remove()
    n = v.ln_post(kept[0])
    return n[:, 0], n[:, 1:], embedding


def make_open_clip(folder, name, sizes, width, output, patch, layers, head_width, seed, quick):
    import open_clip
    from open_clip.model import CLIP, CLIPVisionCfg, CLIPTextCfg, resize_pos_embed
    f = Fixture(folder, name, "open_clip", "open_clip_pytorch_model.bin")
    vision = {"image_size": sizes[0], "layers": layers, "width": width, "patch_size": patch, "head_width": head_width}
    text = {"context_length": 7, "vocab_size": 11, "width": 8, "heads": 1, "layers": 1}

    def make(size):
        return CLIP(output, CLIPVisionCfg(**dict(vision, image_size=size)), CLIPTextCfg(**text), quick_gelu=quick).eval()
    m = make(sizes[0])
    randomise(m, seed)
    sd = f.saved = m.state_dict()
    torch.save(dict(sd, **{"visual.continual_proj": torch.zeros(width, output)}), f.weights)
    f.config("open_clip_config.json", {"model_cfg": {"embed_dim": output, "vision_cfg": vision, "text_cfg": text, "quick_gelu": quick},
                                       "preprocess_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}})

    def at(size):
        other = make(size)
        state = {k: v.clone() for k, v in sd.items()}
        resize_pos_embed(state, other)
        other.load_state_dict(state)
        return other
    f.of(m, lambda: make(sizes[0]), lambda model: open_clip_tokens(model.visual, sizes[0]))
    f.features(sizes, lambda size: open_clip_tokens(at(size).visual, size))
    blocks = [fused_rows(b.attn, "in_proj_weight", width) for b in m.visual.transformer.resblocks]
    f.expected.update(adapters(blocks, width, lambda: m.visual(picture(sizes[0]))))
    f.write()
    return f


# ---- torchvision ----

def make_torchvision(folder, name, size, width, patch, layers, heads, seed):
    from torchvision.models.vision_transformer import VisionTransformer
    f = Fixture(folder, name, "torchvision", "vit.pth")
    m = VisionTransformer(size, patch, layers, heads, width, 4 * width).eval()
    randomise(m, seed)
    f.saved = m.state_dict()
    torch.save(f.saved, f.weights)
    f.arguments(heads=heads)

    def tokens(model):
        x = model._process_input(picture(size))
        x = model.encoder(torch.cat([model.class_token.expand(COUNT, -1, -1), x], 1))
        return x[:, 0], x[:, 1:], None
    f.of(m, lambda: VisionTransformer(size, patch, layers, heads, width, 4 * width).eval(), tokens)
    f.features([size], lambda _: tokens(m))
    f.expected.update(adapters([fused_rows(b.self_attention, "in_proj_weight", width) for b in m.encoder.layers], width, lambda: tokens(m)[0]))
    f.write()
    return f


TINY = dict(embed_dim=24, depth=2, num_heads=3)
HF = dict(num_hidden_layers=2, num_attention_heads=3)
tiny = {
    "hub": lambda d: make_hub(d, "hub", "vit_small_patch14_dinov2", [70, 42, 98], 0, 24, 14, 1, **TINY),
    "hub_registers": lambda d: make_hub(d, "hub_registers", "vit_small_patch14_reg4_dinov2", [70, 42, 98], 4, 24, 14, 2, training=True, **TINY),
    "hub_giant": lambda d: make_hub(d, "hub_giant", "vit_giant_patch14_dinov2", [70], 0, 24, 14, 3, giant=True, old=True, **TINY),
    "timm": lambda d: make_timm(d, "timm", "vit_tiny_patch16_224", [48, 64], 1, 24, 4, **TINY),
    "timm_dinov2": lambda d: make_timm(d, "timm_dinov2", "vit_small_patch14_dinov2", [70, 42], 1, 24, 5, **TINY),
    "timm_dinov2_registers": lambda d: make_timm(d, "timm_dinov2_registers", "vit_small_patch14_reg4_dinov2", [42, 70], 5, 24, 6, **TINY),
    "dinov2": lambda d: make_transformers(d, "dinov2", "Dinov2", [42, 56], 0, 24, 7, True, blocks_of, patch_size=14, **HF),
    "dinov2_swiglu": lambda d: make_transformers(d, "dinov2_swiglu", "Dinov2", [42], 0, 24, 8, True, blocks_of, patch_size=14, use_swiglu_ffn=True, **HF),
    "dinov2_registers": lambda d: make_transformers(d, "dinov2_registers", "Dinov2WithRegisters", [42, 56], 4, 24, 9, True, blocks_of, patch_size=14, bin_file=True,
                                                    num_register_tokens=4, **HF),
    "vit": lambda d: make_transformers(d, "vit", "ViT", [32, 48], 0, 24, 10, True, blocks_of, patch_size=16, intermediate_size=96, **HF),
    "dinov3": lambda d: make_transformers(d, "dinov3", "DINOv3ViT", [48, 64], 4, 24, 11, False, blocks_of, patch_size=16, intermediate_size=96, num_register_tokens=4, **HF),
    "dinov3_gated": lambda d: make_transformers(d, "dinov3_gated", "DINOv3ViT", [48], 4, 24, 12, False, blocks_of, patch_size=16, intermediate_size=64, num_register_tokens=4,
                                                use_gated_mlp=True, hidden_act="silu", **HF),
    "transformers_clip": lambda d: make_transformers_clip(d, "transformers_clip", 28, 24, 16, 13, "quick_gelu"),
    "transformers_clip_alone": lambda d: make_transformers_clip(d, "transformers_clip_alone", 28, 24, 0, 17, "gelu"),
    "open_clip": lambda d: make_open_clip(d, "open_clip", [32, 48], 24, 16, 8, 2, 8, 14, False),
    "open_clip_quick": lambda d: make_open_clip(d, "open_clip_quick", [32], 24, 16, 8, 2, 8, 15, True),
    "torchvision": lambda d: make_torchvision(d, "torchvision", 48, 24, 16, 2, 3, 16),
}
full = {
    "dinov2_s14_reg4": lambda d: make_hub(d, "dinov2_s14_reg4", "vit_small_patch14_reg4_dinov2", [518, 98, 336], 4, 384, 14, 21),
    "dinov2_b14": lambda d: make_hub(d, "dinov2_b14", "vit_base_patch14_dinov2", [518, 98, 336], 0, 768, 14, 22),
    "timm_b16": lambda d: make_timm(d, "timm_b16", "vit_base_patch16_224", [224, 336], 1, 768, 23),
    "clip_b32": lambda d: make_open_clip(d, "clip_b32", [224], 768, 512, 32, 12, 64, 24, True),
    "clip_l14": lambda d: make_open_clip(d, "clip_l14", [224, 336], 1024, 768, 14, 24, 64, 25, False),
}

if __name__ == "__main__":
    arguments = [a for a in sys.argv[1:] if a != "--full"]
    table = full if "--full" in sys.argv else tiny
    for key in arguments[1:] or table:
        table[key](arguments[0])
        print(key)
