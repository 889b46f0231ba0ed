/* chain.h - how a model that speaks (Wan2.2-S2V) makes a video of any length: in clips, one after the other.
 *
 * A clip is 80 frames at 16 per second, 20 latent frames. Its first latent frame stands for frames 0 to 3, and so on; each hears the sound up to
 * its last frame. The clips' frames follow each other without gaps: frame k of clip r is frame 80 r + k of all.
 * The first clip begins with nothing before it, so its first three frames are no picture to show and are dropped. What is shown
 * begins with frame 3 of all, 187.5 ms after the sound that frame 0 hears: so that picture and sound begin together, the model hears
 * that much silence before the sound.
 * Every later clip sees the last 73 frames before it, encoded anew: 19 latent frames. */
#ifndef REELWRIGHT_CHAIN_H
#define REELWRIGHT_CHAIN_H

enum {
    CHAIN_FPS = 16, /* that the model was trained at */
    CHAIN_CLIP_FRAMES = 80,
    CHAIN_CLIP_LATENTS = 20,
    CHAIN_MOTION_FRAMES = 73,
    CHAIN_MOTION_LATENTS = 19,
    CHAIN_DROPPED = 3,      /* of the first clip's frames */
    CHAIN_CHANNELS = 16,    /* of the latents */
    CHAIN_LARGEST_PATCH = 8 /* latent pixels a side, in which it sees the frames before */
};

/* How many clips a video of so many frames takes. */
int chain_clips(int frames);
/* Latent frames to decode, of so many clips: the first behind the picture of who speaks, a later one behind what was before. */
int chain_latents(int clips);

#endif
