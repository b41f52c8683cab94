"""Towers in the libraries: what bittern writes under a library's names, loaded as that library loads it, strictly.

own_tower(f) is a fixture's own library, other_tower(f, library) another that has such towers. For the hub the authors' code is used where its package
dinov2 (2023, no registers) is there; else the tower is None.
"""
import json, os, shutil
import timm, torch, transformers
from safetensors.torch import save_file
import make_fixtures as towers
from trips import check, same

transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
WIDTH, HEADS = 24, 3  # of every tiny fixture


class Tower:
    """load(tensors) gives the library's model, run(model) its (class, patches, embedding or None) of make_fixtures.picture."""

    def __init__(self, library, load, run):
        self.library, self.load, self.run = library, load, run


# ---- transformers ----

def from_folder(f, kind, tensors, config=None):
    """from_pretrained, which must have nothing to complain of. Without config: the fixture's file."""
    folder = f.path("as_" + kind.__name__)
    os.makedirs(folder, exist_ok=True)
    save_file(tensors, os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})
    config.save_pretrained(folder) if config else shutil.copy(f.path("config.json"), folder)
    extra = {"add_pooling_layer": False} if kind.__name__ == "ViTModel" else {}
    model, info = kind.from_pretrained(folder, output_loading_info=True, **extra)
    wrong = {k: v for k, v in info.items() if v}
    check(f"{f.name}: {kind.__name__}.from_pretrained", not wrong, wrong)
    return model.eval()


def run_transformers(f, model):
    if hasattr(model, "visual_projection"):
        x = model.vision_model.post_layernorm(model.vision_model(towers.picture(f.size)).last_hidden_state)
        return x[:, 0], x[:, 1:], model(towers.picture(f.size)).image_embeds
    return towers.transformers_tokens(model, 1 + getattr(model.config, "num_register_tokens", 0), False)(f.size)


def load_transformers(f, t):
    sizes = dict(towers.HF, hidden_size=WIDTH, image_size=f.size)
    if "vision_model.pre_layrnorm.weight" in t:
        config = transformers.CLIPVisionConfig(**sizes, patch_size=t["vision_model.embeddings.patch_embedding.weight"].shape[-1],
                                               projection_dim=t["visual_projection.weight"].shape[0],
                                               intermediate_size=t["vision_model.encoder.layers.0.mlp.fc1.weight"].shape[0],
                                               hidden_act="quick_gelu" if "quick" in f.name else "gelu")
        return from_folder(f, transformers.CLIPVisionModelWithProjection, t, config)
    sizes["patch_size"] = t["embeddings.patch_embeddings.projection.weight"].shape[-1]
    registers = t["embeddings.register_tokens"].shape[1] if "embeddings.register_tokens" in t else 0
    if "encoder.layer.0.layer_scale1.lambda1" not in t:
        config = transformers.ViTConfig(**sizes, intermediate_size=t["encoder.layer.0.intermediate.dense.weight"].shape[0], layer_norm_eps=1e-6)
        return from_folder(f, transformers.ViTModel, t, config)
    sizes["use_swiglu_ffn"] = "encoder.layer.0.mlp.weights_in.weight" in t
    t = dict(t, **{"embeddings.mask_token": torch.zeros(1, WIDTH)})
    if registers:
        return from_folder(f, transformers.Dinov2WithRegistersModel, t, transformers.Dinov2WithRegistersConfig(**sizes, num_register_tokens=registers))
    return from_folder(f, transformers.Dinov2Model, t, transformers.Dinov2Config(**sizes))


# ---- timm ----

def timm_architecture(f, t):
    quick = "quick" in f.name or f.name == "transformers_clip"
    registers, fc1, fc2 = "reg_token" in t, t["blocks.0.mlp.fc1.weight"], t["blocks.0.mlp.fc2.weight"]
    if "norm_pre.weight" in t:
        return "vit_base_patch32_clip_quickgelu_224" if quick else "vit_base_patch32_clip_224"
    if "blocks.0.ls1.gamma" not in t:
        return "vit_tiny_patch16_224"
    size = "giant" if fc1.shape[0] == 2 * fc2.shape[1] else "small"
    return f"vit_{size}_patch14_reg4_dinov2" if registers else f"vit_{size}_patch14_dinov2"


def load_timm(f, t):
    classes = t["head.weight"].shape[0] if "head.weight" in t else 0
    model = timm.create_model(timm_architecture(f, t), num_classes=classes, img_size=f.size, patch_size=t["patch_embed.proj.weight"].shape[-1],
                              mlp_ratio=t["blocks.0.mlp.fc1.weight"].shape[0] / WIDTH, **towers.TINY).eval()
    model.load_state_dict(t, strict=True)
    return model


def run_timm(f, model):
    x = model.forward_features(towers.picture(f.size))
    return x[:, 0], x[:, model.num_prefix_tokens:], model(towers.picture(f.size)) if model.num_classes else None


# ---- the hub ----

def load_hub(f, t):
    try:
        from dinov2.models.vision_transformer import DinoVisionTransformer
    except ImportError:
        return None
    if "register_tokens" in t:
        return None
    model = DinoVisionTransformer(img_size=f.size, patch_size=14, embed_dim=WIDTH, depth=2, num_heads=HEADS, init_values=1.0, block_chunks=0,
                                  ffn_layer="swiglufused" if "blocks.0.mlp.w12.weight" in t else "mlp").eval()
    model.load_state_dict({"mask_token": torch.zeros(1, WIDTH), **t}, strict=True)
    return model


def run_hub(f, model):
    x = model.forward_features(towers.picture(f.size))
    return x["x_norm_clstoken"], x["x_norm_patchtokens"], None


# ---- torchvision, open_clip ----

def load_torchvision(f, t):
    from torchvision.models.vision_transformer import VisionTransformer
    model = VisionTransformer(f.size, t["conv_proj.weight"].shape[-1], 2, HEADS, WIDTH, t["encoder.layers.encoder_layer_0.mlp.0.weight"].shape[0]).eval()
    model.load_state_dict({**{k: v for k, v in model.state_dict().items() if k.startswith("heads.")}, **t}, strict=True)
    return model


def run_torchvision(f, model):
    x = model._process_input(towers.picture(f.size))
    x = model.encoder(torch.cat([model.class_token.expand(x.shape[0], -1, -1), x], 1))
    return x[:, 0], x[:, 1:], None


def load_open_clip(f, t):
    from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg
    vision = CLIPVisionCfg(image_size=f.size, layers=2, width=WIDTH, patch_size=t["visual.conv1.weight"].shape[-1], head_width=WIDTH // HEADS,
                           mlp_ratio=t["visual.transformer.resblocks.0.mlp.c_fc.weight"].shape[0] / WIDTH)
    text = CLIPTextCfg(context_length=7, vocab_size=11, width=8, heads=1, layers=1)
    model = CLIP(t["visual.proj"].shape[1], vision, text, quick_gelu=True).eval()
    model.visual.load_state_dict({k[7:]: v for k, v in t.items()}, strict=True)
    return model


def run_open_clip(f, model):
    return towers.open_clip_tokens(model.visual, f.size)


def create_open_clip(f, tensors):
    """create_model reads the file as any that is given by path; the picture tower alone is loaded strictly too."""
    import open_clip
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
    with torch.no_grad():
        same(f"{f.name}: the picture tower alone", visual(towers.picture(f.size)), run_open_clip(f, model)[2])
    return model


# ---- any ----

OTHERS = {"timm": (load_timm, run_timm), "transformers": (load_transformers, run_transformers), "hub": (load_hub, run_hub),
          "torchvision": (load_torchvision, run_torchvision), "open_clip": (load_open_clip, run_open_clip)}


def other_tower(f, library):
    load, run = OTHERS[library]
    return Tower(library, lambda tensors: load(f, tensors), lambda model: run(f, model))


def own_tower(f):
    """What the library's class has besides is the original's."""
    def load(tensors):
        tensors = {**{k: v for k, v in f.saved.items() if k not in tensors}, **tensors}
        if f.library == "hub":
            return load_hub(f, tensors)
        if f.library == "transformers":
            return from_folder(f, type(f.model), tensors)
        if f.library == "open_clip":
            return create_open_clip(f, tensors)
        model = f.again()
        model.load_state_dict(tensors, strict=True)
        return model
    return Tower(f.library, load, f.run or (lambda model: run_hub(f, model)))
