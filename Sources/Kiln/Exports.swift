// What users of Kiln see of the layers below: types of tensors, errors, and the ops' spellings.
@_exported import KilnIR
@_exported import KilnOps
