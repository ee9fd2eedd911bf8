"""Methods of image translation: which networks are trained in which phase, and which outputs losses can ask for."""
