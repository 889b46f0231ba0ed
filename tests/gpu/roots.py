"""Folders with include/ and lib/ of CUDA libraries, for cmake: the toolkit's first, then the Python packages of PyTorch."""
import os
import shutil

roots = []
nvcc = shutil.which("nvcc") or "/usr/local/cuda/bin/nvcc"
if os.path.exists(nvcc):
    roots.append(os.path.dirname(os.path.dirname(os.path.realpath(nvcc))))
try:
    import nvidia
    bases = list(nvidia.__path__)
except ImportError:
    bases = []
for base in bases:
    for name in sorted(os.listdir(base)):
        folder = os.path.join(base, name)
        if os.path.isdir(os.path.join(folder, "lib")) and os.path.isdir(os.path.join(folder, "include")):
            roots.append(folder)
print(";".join(roots))
