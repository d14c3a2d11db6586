"""Tables and figures."""

import argparse

from zslpipe.commands.inputs import image_folder


def make_tables(options: argparse.Namespace) -> None:
    """Write the tables of all results."""
    from zslpipe.reports.tables.results import write_tables

    write_tables(options.metrics, options.output)


def draw_losses(options: argparse.Namespace) -> None:
    """Draw the loss curves of one method."""
    from zslpipe.reports.figures.losses import loss_curves

    loss_curves(options.histories, options.output)


def draw_curves(options: argparse.Namespace) -> None:
    """Draw the seen/unseen curves of one dataset."""
    from zslpipe.reports.figures.curves import seen_unseen_curves

    seen_unseen_curves(options.metrics, options.output)


def draw_maps(options: argparse.Namespace) -> None:
    """Draw attention maps over their images."""
    from zslpipe.reports.figures.attributes import attention_maps

    attention_maps(options.attention, options.index, image_folder(options), options.output)


def make_localization_tables(options: argparse.Namespace) -> None:
    """Write the tables of all localisations."""
    from zslpipe.reports.tables.localization import write_localization_tables

    write_localization_tables(options.localizations, options.output)


def draw_parts(options: argparse.Namespace) -> None:
    """Draw maps of body parts over images."""
    from zslpipe.reports.figures.body_parts import part_maps

    part_maps(options.attention, options.index, image_folder(options), options.output)


def draw_channels(options: argparse.Namespace) -> None:
    """Draw groups of channels and the maps learnt from them."""
    from zslpipe.reports.figures.channels import channel_maps

    channel_maps(options.attention, options.index, image_folder(options), options.output)


def draw_confusion(options: argparse.Namespace) -> None:
    """Draw where the images of an unseen class go."""
    from zslpipe.reports.figures.confusions import confusions

    confusions(options.matrices, options.output)


def draw_predictions(options: argparse.Namespace) -> None:
    """Draw predictions before and after R."""
    from zslpipe.reports.figures.predictions import predictions

    predictions(
        options.scores, options.rebalanced, options.index, image_folder(options), options.output
    )


def draw_grad_cam(options: argparse.Namespace) -> None:
    """Draw Grad-CAM maps over images."""
    from zslpipe.reports.figures.gradcam import grad_cam_maps

    grad_cam_maps(options.gradcam, options.index, image_folder(options), options.output)
