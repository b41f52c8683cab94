"""Library -> bittern import -> bittern export -> the library's own loading, for every fixture of make_fixtures.py.

    python3 round_trips.py BITTERN

Loaded are, strictly, the tensors that bittern wrote and those that the library's class has besides, which import leaves out: they come from the
original, and are listed in LEFT. Every tensor and every output of the loaded model is bit-equal to the original's.
Then each tower goes to the other libraries that have such towers (OTHERS): their outputs are within 1e-4 of the original's.
The hub's own code is used where the package dinov2 (2023, without registers) is there; its files are compared name by name in any case.
"""
import os, shutil, sys, tempfile
from trips import FORMS, bittern, check, family_of, finish, imported, near, need_libraries, same

need_libraries()
import timm, torch, transformers
from safetensors.torch import load_file, save_file
import make_fixtures as towers

torch.set_num_threads(1)
transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
# What the library's class has and import leaves out: masked patches of pretraining, classifier, text tower and temperature.
LEFT = {"hub": ("mask_token",), "timm": (), "transformers": ("embeddings.mask_token",), "torchvision": ("heads.",),
        "open_clip": ("positional_embedding", "token_embedding.", "transformer.", "ln_final.", "text_projection", "logit_scale", "attn_mask")}


def export(f, file, form):
    out = f.path(f"to_{form}.safetensors")
    bittern("export", file, out, "--names", form)
    return load_file(out)


# ---- the same library ----

def compare_tensors(f, exported):
    """All of the original's but LEFT, bit for bit; returns those left."""
    left = {k: v for k, v in f.saved.items() if k not in exported}
    check(f"{f.name}: what is left out", all(k.startswith(LEFT[f.library]) for k in left), sorted(left))
    check(f"{f.name}: nothing is added", set(exported) <= set(f.saved), sorted(set(exported) - set(f.saved)))
    for key, value in exported.items():
        if key in f.saved:
            same(f"{f.name}: {key}", value, f.saved[key])
    return left


def hub_model(f, tensors):
    """The authors' class for a file of theirs; None where it is not there."""
    try:
        from dinov2.models.vision_transformer import DinoVisionTransformer
    except ImportError:
        return None
    if "register_tokens" in tensors:
        return None
    width, heads = tensors["cls_token"].shape[-1], 3
    return DinoVisionTransformer(img_size=f.size, patch_size=14, embed_dim=width, depth=2, num_heads=heads, init_values=1.0, block_chunks=0,
                                 ffn_layer="swiglufused" if "blocks.0.mlp.w12.weight" in tensors else "mlp").eval()


def hub_run(model, size):
    x = model.forward_features(towers.picture(size))
    return x["x_norm_clstoken"], x["x_norm_patchtokens"], None


def from_folder(f, kind, tensors, config=None):
    """transformers' from_pretrained, which must have nothing to complain of."""
    folder = f.path("as_" + kind.__name__)
    os.makedirs(folder, exist_ok=True)
    save_file(tensors, os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})
    config.save_pretrained(folder) if config else shutil.copy(f.path("config.json"), folder)
    extra = {"add_pooling_layer": False} if kind.__name__ == "ViTModel" else {}
    model, info = kind.from_pretrained(folder, output_loading_info=True, **extra)
    wrong = {k: v for k, v in info.items() if v}
    check(f"{f.name}: {kind.__name__}.from_pretrained", not wrong, wrong)
    return model.eval()


def load_open_clip(f, tensors):
    """create_model reads the file as open_clip reads any that is given by path; the picture tower alone is loaded strictly too."""
    import json, open_clip
    with open(f.path("open_clip_config.json")) as text:
        configuration = json.load(text)["model_cfg"]
    os.makedirs(f.path("registered"), exist_ok=True)
    with open(f.path(f"registered/bittern_{f.name}.json"), "w") as text:
        json.dump(configuration, text)
    open_clip.add_model_config(f.path("registered"))
    save_file(tensors, f.path("open_clip_model.safetensors"))
    model = open_clip.create_model(f"bittern_{f.name}", pretrained=f.path("open_clip_model.safetensors")).eval()
    visual = f.again().visual
    visual.load_state_dict({k[7:]: v for k, v in tensors.items() if k.startswith("visual.")}, strict=True)
    same(f"{f.name}: the picture tower alone", visual(towers.picture(f.size)), f.run(f.model)[2])
    return model


def load_again(f, tensors):
    if f.library == "transformers":
        return from_folder(f, type(f.model), tensors)
    if f.library == "open_clip":
        return load_open_clip(f, tensors)
    model = f.again()
    model.load_state_dict(tensors, strict=True)
    return model


def trip(f, file):
    tensors = export(f, file, f.library)
    left = compare_tensors(f, tensors)
    tensors.update(left)
    with torch.no_grad():
        if f.library == "hub":
            model, original = hub_model(f, tensors), hub_model(f, tensors)
            if not model:
                return "names and tensors; this tower's authors' code is not here"
            model.load_state_dict(tensors, strict=True)
            original.load_state_dict(f.saved, strict=True)
            found, expected = hub_run(model, f.size), hub_run(original, f.size)
        else:
            model = load_again(f, tensors)
            found, expected = f.run(model), f.run(f.model)
            for key, value in f.model.state_dict().items():
                same(f"{f.name}: {key} in the loaded model", model.state_dict()[key], value)
        for what, a, b in zip(("class", "patches", "embedding"), found, expected):
            if b is not None:
                same(f"{f.name}: {what}", a, b)
    return "loaded strictly" + (f", with {', '.join(sorted({k.split('.')[0] if f.library != 'transformers' else k for k in left}))} of the original" if left else "")


# ---- another library ----

def to_timm(f, t):
    clip, dinov2, registers = "norm_pre.weight" in t, "blocks.0.ls1.gamma" in t, "reg_token" in t
    gated = t["blocks.0.mlp.fc1.weight"].shape[0] == 2 * t["blocks.0.mlp.fc2.weight"].shape[1]
    size = {"img_size": f.size, "patch_size": t["patch_embed.proj.weight"].shape[-1]}
    arch = (("vit_base_patch32_clip_quickgelu_224" if "quick" in f.name or f.library == "transformers" else "vit_base_patch32_clip_224") if clip
            else "vit_giant_patch14_reg4_dinov2" if gated and registers else "vit_giant_patch14_dinov2" if gated
            else "vit_small_patch14_reg4_dinov2" if registers else "vit_small_patch14_dinov2" if dinov2 else "vit_tiny_patch16_224")
    ratio = t["blocks.0.mlp.fc1.weight"].shape[0] / t["cls_token"].shape[-1]
    model = timm.create_model(arch, num_classes=t["head.weight"].shape[0] if clip else 0, **size, **towers.TINY, mlp_ratio=ratio).eval()
    if clip:
        t = dict(t, **{"head.bias": torch.zeros(t["head.weight"].shape[0])})  # timm has the projection as a classifier, with a bias
    model.load_state_dict(t, strict=True)
    prefix = 1 + (t["reg_token"].shape[1] if registers else 0)
    x = model.forward_features(towers.picture(f.size))
    return x[:, 0], x[:, prefix:], model(towers.picture(f.size)) if clip else None


def to_transformers(f, t):
    sizes = dict(towers.HF, hidden_size=24, image_size=f.size)
    if "vision_model.pre_layrnorm.weight" in t:
        width, patch = t["vision_model.embeddings.patch_embedding.weight"].shape[0], t["vision_model.embeddings.patch_embedding.weight"].shape[-1]
        config = transformers.CLIPVisionConfig(**dict(sizes, patch_size=patch, projection_dim=t["visual_projection.weight"].shape[0],
                                                      intermediate_size=t["vision_model.encoder.layers.0.mlp.fc1.weight"].shape[0],
                                                      hidden_act="quick_gelu" if "quick" in f.name else "gelu"))
        model = from_folder(f, transformers.CLIPVisionModelWithProjection, t, config)
        x = model.vision_model.post_layernorm(model.vision_model(towers.picture(f.size)).last_hidden_state)
        return x[:, 0], x[:, 1:], model(towers.picture(f.size)).image_embeds
    patch = t["embeddings.patch_embeddings.projection.weight"].shape[-1]
    registers = t["embeddings.register_tokens"].shape[1] if "embeddings.register_tokens" in t else 0
    if "encoder.layer.0.layer_scale1.lambda1" in t:
        kind = "Dinov2WithRegisters" if registers else "Dinov2"
        more = {"num_register_tokens": registers} if registers else {}
        config = getattr(transformers, kind + "Config")(**sizes, patch_size=patch, use_swiglu_ffn="encoder.layer.0.mlp.weights_in.weight" in t, **more)
        t = dict(t, **{"embeddings.mask_token": torch.zeros(1, 24)})
    else:
        kind = "ViT"
        config = transformers.ViTConfig(**sizes, patch_size=patch, intermediate_size=t["encoder.layer.0.intermediate.dense.weight"].shape[0], layer_norm_eps=1e-6)
    model = from_folder(f, getattr(transformers, kind + "Model"), t, config)
    return towers.transformers_tokens(model, 1 + registers, False)(f.size)


def to_hub(f, t):
    model = hub_model(f, t)
    if model:
        model.load_state_dict(dict(t, mask_token=torch.zeros(1, 24)), strict=True)
    return hub_run(model, f.size) if model else None


def to_torchvision(f, t):
    from torchvision.models.vision_transformer import VisionTransformer
    model = VisionTransformer(f.size, t["conv_proj.weight"].shape[-1], 2, 3, 24, t["encoder.layers.encoder_layer_0.mlp.0.weight"].shape[0]).eval()
    model.load_state_dict(dict(t, **{k: v for k, v in model.state_dict().items() if k.startswith("heads.")}), strict=True)
    x = torch.cat([model.class_token.expand(towers.COUNT, -1, -1), model._process_input(towers.picture(f.size))], 1)
    x = model.encoder(x)
    return x[:, 0], x[:, 1:], None


def to_open_clip(f, t):
    from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg
    vision = CLIPVisionCfg(image_size=f.size, layers=2, width=24, patch_size=t["visual.conv1.weight"].shape[-1], head_width=8,
                           mlp_ratio=t["visual.transformer.resblocks.0.mlp.c_fc.weight"].shape[0] / 24)
    text = CLIPTextCfg(context_length=7, vocab_size=11, width=8, heads=1, layers=1)
    model = CLIP(t["visual.proj"].shape[1], vision, text, quick_gelu=True).eval()
    model.visual.load_state_dict({k[7:]: v for k, v in t.items()}, strict=True)
    return towers.open_clip_tokens(model.visual, f.size)


OTHERS = {"timm": to_timm, "transformers": to_transformers, "hub": to_hub, "torchvision": to_torchvision, "open_clip": to_open_clip}


def cross(f, file):
    """Towers that all libraries of the family have; at the size of the positions, so that none resamples."""
    done = []
    for form in FORMS[family_of(f)].split():
        if form == f.library:
            continue
        with torch.no_grad():
            found = OTHERS[form](f, export(f, file, form))
        if not found:
            continue
        errors = [near(f"{f.name} as {form}: {what}", a, f.expected[f"{what}_{f.size}"])
                  for what, a in zip(("class", "patches", "embedding"), found) if a is not None]
        done.append(f"{form} {max(errors):.1g}")
    return ", ".join(done)


with tempfile.TemporaryDirectory() as folder:
    for name, make in towers.tiny.items():
        f = make(folder)
        file = imported(f)
        print(f"{name} ({f.library}): {trip(f, file)}")
        others = cross(f, file)
        if others:
            print(f"{name}: in other libraries, deviation: {others}")
finish()
