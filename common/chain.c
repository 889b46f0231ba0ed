#include "chain.h"

int chain_clips(int frames) { return (frames + CHAIN_DROPPED + CHAIN_CLIP_FRAMES - 1) / CHAIN_CLIP_FRAMES; }

int chain_latents(int clips)
{
    const int later = CHAIN_MOTION_LATENTS + CHAIN_CLIP_LATENTS;
    return clips < 1 ? 0 : 1 + CHAIN_CLIP_LATENTS + (clips - 1) * later;
}
