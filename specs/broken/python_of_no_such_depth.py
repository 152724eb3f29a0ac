# no network of bottlenecks at this depth
#   at      depth
#   got     34
#   want    50, 101, 152
from archdsl.zoo import resnet, tanet

arch = tanet.tanet("net", depth=34)
