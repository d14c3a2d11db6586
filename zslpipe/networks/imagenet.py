"""Channel means and deviations of ImageNet's training images: red, green, blue, from 0 to 1."""

# torchvision's weights (their transforms), and timm's IMAGENET_DEFAULT_MEAN and
# IMAGENET_DEFAULT_STD.
MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)
