"""Services that show how to use the product. No product code imports them."""
