/* names.h - what the transformer's tensors are called: by diffusers, by Wan's publishers, and by the tools that train adapters.
 *
 * A *module* is a tensor's name without ".weight" or ".bias": "blocks.7.attn1.to_q" in diffusers is "blocks.7.self_attn.q" in the
 * publishers' files and "lora_unet_blocks_7_self_attn_q" in kohya's. The program knows a module by diffusers' name.
 * Source of the pairs: Wan2.1 wan/modules/model.py, vace_model.py and vae.py and Wan2.2 vae2_2.py beside diffusers'
 * transformer_wan.py, transformer_wan_vace.py and autoencoder_kl_wan.py. */
#ifndef REELWRIGHT_NAMES_H
#define REELWRIGHT_NAMES_H

#include <stdbool.h>
#include <stddef.h>

enum { NAMES_MOST = 320 /* bytes of a name, with its end */ };

/* The publishers' name of a module or of a tensor (".weight", ".bias" stay), of the transformer, the autoencoder or the text encoder; false: it has none,
 * or is too long. Two of these have two names: `other` asks for those of Wan2.2's autoencoder instead of Wan2.1's, and for the publishers' names of
 * the text encoder (Wan2.1 wan/modules/t5.py) instead of those in GGUF files (llama.cpp's gguf-py/gguf/tensor_mapping.py). */
bool names_published(const char *diffusers, bool other, char *out, size_t room);

#endif
