-- What is published, by how it looks: a ban hides all that it covers, in one step.
CREATE INDEX pictures_looks ON pictures (perceptual_hash, id) WHERE state = 'published';
