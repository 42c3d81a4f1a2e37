"""What a style asks of a picture: layered sets, VGG, losses, figures; who trains by them is for others to say."""
