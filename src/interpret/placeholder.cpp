// interpret
