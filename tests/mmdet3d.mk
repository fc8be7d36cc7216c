# The second virtual environment: mmdetection3d itself, as the reference our PointPillars and KITTI metric are held against.
# mmcv has to be built with its operators: a wheel in $(WHEELS) is used where there is one, else its sdist is built (18 CPU minutes).
MMDET3D_VENV := .venv-mmdet3d
MMDET3D_PYTHON := $(MMDET3D_VENV)/bin/python
MMCV_WHEEL := $(firstword $(wildcard $(WHEELS)/mmcv-2.1.0-*.whl))
MMCV_BUILT := .cache/wheels

# What our own code and its tests need there, and what mmdetection3d imports; --no-deps for the rest, whose pins no longer build.
MMDET3D_SHARED := torch torchvision numpy numba scipy pandas pillow pyarrow protobuf mcap zstandard foxglove-schemas-protobuf \
	safetensors typer rich pytest pytest-timeout pytest-xdist hypothesis setuptools==80.10.2
MMDET3D_IMPORTS := addict==2.4.0 cachetools==8.0.1 fire==0.7.1 matplotlib==3.11.2 opencv-python-headless==5.0.0.93 \
	pycocotools==2.0.11 pyquaternion==0.9.9 pyyaml==6.0.3 regex==2026.11.15 scikit-learn==1.9.1 shapely==2.2.0 six==1.17.0 \
	termcolor==3.3.0 terminaltables==3.1.10 tqdm==4.70.1 trimesh==5.2.0 yapf==0.43.0
MMDET3D_ITSELF := mmengine==0.10.7 mmdet==3.3.0 mmdet3d==1.4.0 nuscenes-devkit==1.2.0 lyft_dataset_sdk==0.0.8 open3d==0.20.0

setup-mmdet3d: system $(MMDET3D_VENV)/.ready ## .venv-mmdet3d: mmdetection3d and mmcv, as the reference of test-mmdet3d

$(MMDET3D_VENV)/.ready: $(UV) tests/mmdet3d.mk constraints.txt
	@[ -x $(MMDET3D_PYTHON) ] || $(UV) venv -q --python $(PYTHON) $(MMDET3D_VENV)
	@mkdir -p .cache && grep -v '^setuptools==' constraints.txt > .cache/mmdet3d-constraints.txt
	$(UV) pip install -q --python $(MMDET3D_PYTHON) -c .cache/mmdet3d-constraints.txt $(MMDET3D_SHARED) $(MMDET3D_IMPORTS)
	$(UV) pip install -q --python $(MMDET3D_PYTHON) --no-deps $(MMDET3D_ITSELF)
ifneq ($(MMCV_WHEEL),)
	$(UV) pip install -q --python $(MMDET3D_PYTHON) --no-deps $(MMCV_WHEEL)
else
	@command -v g++ >/dev/null || { echo "setup-mmdet3d: no mmcv-2.1.0 wheel in $(WHEELS) and no g++ to build one; install g++ or set WHEELS" >&2; exit 2; }
	@echo "setup-mmdet3d: no mmcv-2.1.0 wheel in $(WHEELS): building it from its sdist, about 18 CPU minutes"
	$(UV) pip install -q --python $(MMDET3D_PYTHON) pip wheel ninja psutil packaging
	MMCV_WITH_OPS=1 FORCE_CUDA=0 MAX_JOBS=2 $(MMDET3D_PYTHON) -m pip wheel -q --no-deps --no-build-isolation -w $(MMCV_BUILT) mmcv==2.1.0
	$(UV) pip install -q --python $(MMDET3D_PYTHON) --no-deps $(MMCV_BUILT)/mmcv-2.1.0-*.whl
endif
	@touch $@

test-mmdet3d: setup-mmdet3d ## our PointPillars, voxels and KITTI metric against mmdetection3d's own
	NUMBA_ENABLE_CUDASIM=1 $(MMDET3D_PYTHON) -m pytest -m mmdet3d tests/perception/test_mmdet3d_agreement.py $(ARGS)
