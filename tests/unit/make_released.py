#!/usr/bin/env python3
"""The published Wan checkpoints without their bytes: make_released.py > released.json

For each: the folder's JSON files as they are published, and of each component how many tensors and parameters diffusers and
transformers build from them (on the meta device, so that nothing is allocated), with the SHA-256 of the sorted list of
"name AxBxC" lines. Of Wan2.2-S2V, which neither builds, the parts that it has beside the text model are listed here, as its publishers'
wan/modules/s2v makes them: 165 tensors. test_released.c compares the engine's weight tables with that, and opens folders of this shape that are
holes. Needs torch, diffusers and transformers."""
import hashlib
import json
import math
import sys

import torch

Z16_MEAN = [-0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508, 0.4134, -0.0715, 0.5517, -0.3632, -0.1922, -0.9497, 0.2503, -0.2921]
Z16_STD = [2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743, 3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253, 2.8251, 1.916]
Z48_MEAN = [-0.2289, -0.0052, -0.1323, -0.2339, -0.2799, 0.0174, 0.1838, 0.1557, -0.1382, 0.0542, 0.2813, 0.0891, 0.1570, -0.0098, 0.0375, -0.1825,
            -0.2246, -0.1207, -0.0698, 0.5109, 0.2665, -0.2108, -0.2158, 0.2502, -0.2055, -0.0322, 0.1109, 0.1567, -0.0729, 0.0899, -0.2799, -0.1230,
            -0.0313, -0.1649, 0.0117, 0.0723, -0.2839, -0.2083, -0.0520, 0.3748, 0.0152, 0.1957, 0.1433, -0.2944, 0.3573, -0.0548, -0.1681, -0.0667]
Z48_STD = [0.4765, 1.0364, 0.4514, 1.1677, 0.5313, 0.4990, 0.4818, 0.5013, 0.8158, 1.0344, 0.5894, 1.0901, 0.6885, 0.6165, 0.8454, 0.4978,
           0.5759, 0.3523, 0.7135, 0.6804, 0.5833, 1.4146, 0.8986, 0.5659, 0.7069, 0.5338, 0.4889, 0.4917, 0.4069, 0.4999, 0.6866, 0.4093,
           0.5709, 0.6065, 0.6415, 0.4944, 0.5726, 1.2042, 0.5458, 1.6887, 0.3971, 1.0600, 0.3943, 0.5537, 0.5444, 0.4089, 0.7468, 0.7744]


def dit(heads, ffn, layers, channels_in=16, channels_out=16, **more):
    return {"_class_name": "WanTransformer3DModel", "_diffusers_version": "0.33.0.dev0", "added_kv_proj_dim": None, "attention_head_dim": 128,
            "cross_attn_norm": True, "eps": 1e-06, "ffn_dim": ffn, "freq_dim": 256, "image_dim": None, "in_channels": channels_in,
            "num_attention_heads": heads, "num_layers": layers, "out_channels": channels_out, "patch_size": [1, 2, 2],
            "qk_norm": "rms_norm_across_heads", "rope_max_seq_len": 1024, "text_dim": 4096, **more}


def vace(config, layers):
    return dict(config, _class_name="WanVACETransformer3DModel", vace_in_channels=96, vace_layers=layers)


Z16 = {"_class_name": "AutoencoderKLWan", "_diffusers_version": "0.33.0.dev0", "attn_scales": [], "base_dim": 96, "dim_mult": [1, 2, 4, 4],
       "dropout": 0.0, "latents_mean": Z16_MEAN, "latents_std": Z16_STD, "num_res_blocks": 2, "temperal_downsample": [False, True, True], "z_dim": 16}
Z48 = {"_class_name": "AutoencoderKLWan", "_diffusers_version": "0.35.0.dev0", "attn_scales": [], "base_dim": 160, "clip_output": False,
       "decoder_base_dim": 256, "dim_mult": [1, 2, 4, 4], "dropout": 0.0, "in_channels": 12, "is_residual": True, "latents_mean": Z48_MEAN,
       "latents_std": Z48_STD, "num_res_blocks": 2, "out_channels": 12, "patch_size": 2, "scale_factor_spatial": 16, "scale_factor_temporal": 4,
       "temperal_downsample": [False, True, True], "z_dim": 48}
UMT5 = {"architectures": ["UMT5EncoderModel"], "classifier_dropout": 0.0, "d_ff": 10240, "d_kv": 64, "d_model": 4096, "decoder_start_token_id": 0,
        "dense_act_fn": "gelu_new", "dropout_rate": 0.1, "eos_token_id": 1, "feed_forward_proj": "gated-gelu", "initializer_factor": 1.0,
        "is_encoder_decoder": True, "is_gated_act": True, "layer_norm_epsilon": 1e-06, "model_type": "umt5", "num_decoder_layers": 24,
        "num_heads": 64, "num_layers": 24, "output_past": True, "pad_token_id": 0, "relative_attention_max_distance": 128,
        "relative_attention_num_buckets": 32, "scalable_attention": True, "tie_word_embeddings": False, "tokenizer_class": "T5Tokenizer",
        "torch_dtype": "bfloat16", "use_cache": True, "vocab_size": 256384}
CLIP = {"architectures": ["CLIPVisionModel"], "attention_dropout": 0.0, "dropout": 0.0, "hidden_act": "gelu", "hidden_size": 1280, "image_size": 224,
        "initializer_factor": 1.0, "initializer_range": 0.02, "intermediate_size": 5120, "layer_norm_eps": 1e-05, "model_type": "clip_vision_model",
        "num_attention_heads": 16, "num_channels": 3, "num_hidden_layers": 32, "patch_size": 14, "projection_dim": 1024, "torch_dtype": "float32"}
CLIP_STEPS = {"crop_size": {"height": 224, "width": 224}, "do_center_crop": True, "do_convert_rgb": True, "do_normalize": True, "do_rescale": True,
              "do_resize": True, "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_processor_type": "CLIPImageProcessor",
              "image_std": [0.26862954, 0.26130258, 0.27577711], "resample": 3, "rescale_factor": 0.00392156862745098, "size": {"shortest_edge": 224}}


WAV2VEC2 = {"activation_dropout": 0.1, "architectures": ["Wav2Vec2ForCTC"], "attention_dropout": 0.1, "conv_bias": True, "conv_dim": [512] * 7,
            "conv_kernel": [10, 3, 3, 3, 3, 2, 2], "conv_stride": [5, 2, 2, 2, 2, 2, 2], "do_stable_layer_norm": True, "feat_extract_activation": "gelu",
            "feat_extract_norm": "layer", "hidden_act": "gelu", "hidden_size": 1024, "intermediate_size": 4096, "layer_norm_eps": 1e-05,
            "model_type": "wav2vec2", "num_attention_heads": 16, "num_conv_pos_embedding_groups": 16, "num_conv_pos_embeddings": 128,
            "num_feat_extract_layers": 7, "num_hidden_layers": 24, "vocab_size": 33}
SPEAKS = {"_class_name": "WanModel_S2V", "_diffusers_version": "0.34.0", "adain_mode": "attn_norm", "add_last_motion": True, "audio_dim": 1024,
          "audio_inject_layers": [0, 4, 8, 12, 16, 20, 24, 27, 30, 33, 36, 39], "cond_dim": 16, "dim": 5120, "enable_adain": True,
          "enable_framepack": True, "enable_motioner": False, "enable_tsm": False, "eps": 1e-06, "ffn_dim": 13824, "framepack_drop_mode": "padd",
          "freq_dim": 256, "in_dim": 16, "model_type": "s2v", "motion_token_num": 1024, "num_audio_token": 4, "num_heads": 40, "num_layers": 40,
          "out_dim": 16, "text_dim": 4096, "text_len": 512, "trainable_token_pos_emb": False, "zero_init": True, "zero_timestep": True}


def speaking_parts(c):
    """{name: shape} of what the S2V transformer has beside the text model's, under its publishers' names."""
    d, out = c["dim"], {}

    def pair(name, *shape):
        out[f"{name}.weight"], out[f"{name}.bias"] = shape, shape[:1]

    pair("cond_encoder", d, c["cond_dim"], 1, 2, 2)
    out["trainable_cond_mask.weight"] = (3, d)
    for name, kernel in (("proj", (1, 2, 2)), ("proj_2x", (2, 4, 4)), ("proj_4x", (4, 8, 8))):
        pair(f"frame_packer.{name}", d, c["in_dim"], *kernel)
    audio = "casual_audio_encoder"  # so spelled
    out[f"{audio}.weights"], out[f"{audio}.encoder.padding_tokens"] = (1, 25, 1, 1), (1, 1, 1, d)
    pair(f"{audio}.encoder.conv1_local.conv", d // 4 * c["num_audio_token"], c["audio_dim"], 3)
    pair(f"{audio}.encoder.conv1_global.conv", d // 4, c["audio_dim"], 3)
    pair(f"{audio}.encoder.conv2.conv", d // 2, d // 4, 3)
    pair(f"{audio}.encoder.conv3.conv", d, d // 2, 3)
    pair(f"{audio}.encoder.final_linear", d, d)
    for i in range(len(c["audio_inject_layers"])):
        for name in "qkvo":
            pair(f"audio_injector.injector.{i}.{name}", d, d)
        out[f"audio_injector.injector.{i}.norm_q.weight"] = out[f"audio_injector.injector.{i}.norm_k.weight"] = (d,)
        pair(f"audio_injector.injector_adain_layers.{i}.linear", 2 * d, d)
    assert len(out) == 165
    return out


def scheduler(shift):
    return {"_class_name": "UniPCMultistepScheduler", "_diffusers_version": "0.33.0.dev0", "beta_end": 0.02, "beta_schedule": "linear",
            "beta_start": 0.0001, "disable_corrector": [], "dynamic_thresholding_ratio": 0.995, "final_sigmas_type": "zero", "flow_shift": shift,
            "lower_order_final": True, "num_train_timesteps": 1000, "predict_x0": True, "prediction_type": "flow_prediction",
            "rescale_betas_zero_snr": False, "sample_max_value": 1.0, "solver_order": 2, "solver_p": None, "solver_type": "bh2", "steps_offset": 0,
            "thresholding": False, "timestep_spacing": "linspace", "trained_betas": None, "use_beta_sigmas": False, "use_exponential_sigmas": False,
            "use_flow_sigmas": True, "use_karras_sigmas": False}


def folder(pipeline, transformer, shift, second=False, clip=False, vae=Z16, **more):
    index = {"_class_name": pipeline, "_diffusers_version": "0.35.0.dev0", **more,
             "scheduler": ["diffusers", "UniPCMultistepScheduler"], "text_encoder": ["transformers", "UMT5EncoderModel"],
             "tokenizer": ["transformers", "T5TokenizerFast"], "transformer": ["diffusers", transformer["_class_name"]],
             "vae": ["diffusers", "AutoencoderKLWan"]}
    files = {"scheduler/scheduler_config.json": scheduler(shift), "text_encoder/config.json": UMT5, "transformer/config.json": transformer,
             "vae/config.json": vae}
    if "boundary_ratio" in more:
        index["transformer_2"] = ["diffusers", transformer["_class_name"]] if second else [None, None]
    if second:
        files["transformer_2/config.json"] = transformer
    if pipeline == "WanImageToVideoPipeline":
        index["image_encoder"] = ["transformers", "CLIPVisionModel"] if clip else [None, None]
        index["image_processor"] = ["transformers", "CLIPImageProcessor"] if clip else [None, None]
    if clip:
        files["image_encoder/config.json"] = CLIP
        files["image_processor/preprocessor_config.json"] = CLIP_STEPS
    return {"model_index.json": index, **files}


def speaking():
    files = folder("WanPipeline", LARGE, 3.0)
    files["model_index.json"] = dict(files["model_index.json"], _class_name="WanSpeechToVideoPipeline", transformer=["wan", "WanModel_S2V"],
                                     audio_encoder=["transformers", "Wav2Vec2ForCTC"])
    return {**files, "transformer/config.json": SPEAKS, "audio_encoder/config.json": WAV2VEC2}


T2V, I2V, VACE = "WanPipeline", "WanImageToVideoPipeline", "WanVACEPipeline"
SMALL, LARGE = dit(12, 8960, 30), dit(40, 13824, 40)
IMAGE = dit(40, 13824, 40, 36, added_kv_proj_dim=5120, image_dim=1280)
RELEASED = {
    "Wan2.1-T2V-1.3B": folder(T2V, SMALL, 3.0),
    "Wan2.1-T2V-14B": folder(T2V, LARGE, 3.0),
    "Wan2.1-I2V-14B-480P": folder(I2V, IMAGE, 3.0, clip=True),
    "Wan2.1-I2V-14B-720P": folder(I2V, IMAGE, 5.0, clip=True),
    "Wan2.1-FLF2V-14B-720P": folder(I2V, dict(IMAGE, pos_embed_seq_len=514), 5.0, clip=True),
    "Wan2.1-VACE-1.3B": folder(VACE, vace(SMALL, list(range(0, 30, 2))), 3.0),
    "Wan2.1-VACE-14B": folder(VACE, vace(LARGE, list(range(0, 40, 5))), 5.0),
    "Wan2.2-T2V-A14B": folder(T2V, LARGE, 3.0, second=True, boundary_ratio=0.875),
    "Wan2.2-I2V-A14B": folder(I2V, dit(40, 13824, 40, 36), 3.0, second=True, boundary_ratio=0.9),
    "Wan2.2-TI2V-5B": folder(T2V, dit(24, 14336, 30, 48, 48), 5.0, vae=Z48, boundary_ratio=None, expand_timesteps=True),
    "Wan2.2-S2V-14B": speaking(),
}


def module(path, config):
    import diffusers
    import transformers

    config = {k: v for k, v in config.items() if not k.startswith("_")}
    with torch.device("meta"):
        if path.startswith("text_encoder"):
            return transformers.UMT5EncoderModel(transformers.UMT5Config(**config))
        if path.startswith("image_encoder"):
            return transformers.CLIPVisionModel(transformers.CLIPVisionConfig(**config))
        if path.startswith("audio_encoder"):
            return transformers.Wav2Vec2ForCTC(transformers.Wav2Vec2Config(**config))
        if path.startswith("vae"):
            return diffusers.AutoencoderKLWan.from_config(config)
        return (diffusers.WanVACETransformer3DModel if "vace_layers" in config else diffusers.WanTransformer3DModel).from_config(config)


def table(path, config):
    """Of all parameters but CLIP's last layer and what follows it, for the pipelines take the layer before; and but wav2vec2's letters."""
    unused = ("post_layernorm.", f"encoder.layers.{config.get('num_hidden_layers', 0) - 1}.") if path.startswith("image_encoder") else ()
    if path.startswith("audio_encoder"):
        unused = ("lm_head.", "wav2vec2.masked_spec_embed")
    speaks = config.get("_class_name") == "WanModel_S2V"
    used = {name: tuple(p.shape) for name, p in module(path, LARGE if speaks else config).named_parameters() if not name.startswith(unused)}
    if speaks:
        used.update(speaking_parts(config))
    for new, old in (("parametrizations.weight.original0", "weight_g"), ("parametrizations.weight.original1", "weight_v")):
        used = {name.replace(new, old): shape for name, shape in used.items()}
    lines = sorted(f"{name} {'x'.join(map(str, shape))}\n" for name, shape in used.items())
    return {"tensors": len(lines), "parameters": sum(math.prod(shape) for shape in used.values()),
            "sha256": hashlib.sha256("".join(lines).encode()).hexdigest()}


def main():
    seen, out = {}, {}
    for name, files in RELEASED.items():
        tables = {}
        for path, config in files.items():
            part = path.split("/")[0]
            if path.endswith("/config.json"):
                key = json.dumps(config, sort_keys=True)
                seen[key] = tables[part] = seen.get(key) or table(path, config)
        out[name] = {"files": files, "tables": tables}
    json.dump(out, sys.stdout, separators=(",", ":"))
    print()


if __name__ == "__main__":
    main()
